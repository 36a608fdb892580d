//! The Secret Service, which GNOME's and KDE's keyrings offer on the bus of a session.
//!
//! Items lie in collections; new ones go to the one that is opened by logging in, else to the
//! default one. Both collections and items may be locked: unlocking one may ask the user, whose
//! answer arrives as a signal. Secrets go over the bus as they are: it is private to the user.
//!
//! Source: the Secret Service API of freedesktop.org.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::runtime::{self, Runtime};
use zbus::export::futures_core::Stream;
use zbus::{
    Connection, MatchRule, Message, MessageStream, ObjectPath, OwnedObjectPath, OwnedVariant, Type,
    Variant, connection, message,
};
use zeroize::Zeroizing;

use crate::env::Environment;

const SERVICE: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const LOGIN: &str = "/org/freedesktop/secrets/collection/login";
const DEFAULT: &str = "/org/freedesktop/secrets/aliases/default";

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const OF_SERVICE: &str = "org.freedesktop.Secret.Service";
const OF_COLLECTION: &str = "org.freedesktop.Secret.Collection";
const OF_ITEM: &str = "org.freedesktop.Secret.Item";
const OF_SESSION: &str = "org.freedesktop.Secret.Session";
const OF_PROMPT: &str = "org.freedesktop.Secret.Prompt";

/// How long an answer may take. People are waited for longer: see [`SecretService::prompt`].
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a keyring is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("no session bus: {0}")]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Bus(#[from] zbus::Error),
    #[error("unlocking was refused")]
    Dismissed,
    #[error("the password in the keyring is not UTF-8")]
    NotText,
}

type Result<T> = std::result::Result<T, Error>;

/// A connection to the keyring. It owns the runtime that its client library needs.
pub(super) struct SecretService {
    runtime: Runtime,
    bus: Connection,
}

impl SecretService {
    pub(super) fn connect(env: &Environment) -> Result<Self> {
        let address = env.text("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|| {
            let user = rustix::process::getuid().as_raw();
            format!("unix:path=/run/user/{user}/bus")
        });
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let bus = runtime.block_on(async {
            let builder = connection::Builder::address(address.as_str());
            builder.method_timeout(PATIENCE).build().await
        })?;
        Ok(Self { runtime, bus })
    }

    pub(super) fn recall(&self, service: &str, user: &str) -> Result<Option<SecretString>> {
        self.runtime.block_on(async {
            let Some(item) = self.find(service, user).await? else { return Ok(None) };
            self.unlock(&item).await?;
            let session = self.open_session().await?;
            let reply = self.call(&item, OF_ITEM, "GetSecret", &session).await;
            self.close(&session).await;
            let ((_, _, secret, _),): ((OwnedObjectPath, Vec<u8>, Vec<u8>, String),) =
                read(&reply?)?;
            let secret = Zeroizing::new(secret);
            let text = std::str::from_utf8(&secret).map_err(|_| Error::NotText)?;
            Ok(Some(SecretString::from(text.to_owned())))
        })
    }

    pub(super) fn persist(&self, service: &str, user: &str, password: &SecretString) -> Result<()> {
        self.runtime.block_on(async {
            let collection = self.collection().await?;
            self.unlock(&collection).await?;
            let session = self.open_session().await?;
            let label = format!("Password for '{user}' on '{service}'");
            let attributes = attributes(service, user);
            let properties: HashMap<&str, Variant<'_>> = HashMap::from([
                ("org.freedesktop.Secret.Item.Label", Variant::from(label)),
                ("org.freedesktop.Secret.Item.Attributes", Variant::from(attributes)),
            ]);
            let secret =
                (&session, [0_u8; 0].as_slice(), password.expose_secret().as_bytes(), TEXT);
            let replace = true;
            let body = (properties, secret, replace);
            let reply = self.call(&collection, OF_COLLECTION, "CreateItem", &body).await;
            self.close(&session).await;
            let (_, prompt): (OwnedObjectPath, OwnedObjectPath) = read(&reply?)?;
            self.prompt(&prompt).await
        })
    }

    /// Whether there was one.
    pub(super) fn forget(&self, service: &str, user: &str) -> Result<bool> {
        self.runtime.block_on(async {
            let Some(item) = self.find(service, user).await? else { return Ok(false) };
            let prompt: OwnedObjectPath = read(&self.call(&item, OF_ITEM, "Delete", &()).await?)?;
            self.prompt(&prompt).await?;
            Ok(true)
        })
    }

    async fn find(&self, service: &str, user: &str) -> Result<Option<OwnedObjectPath>> {
        let collection = self.collection().await?;
        self.unlock(&collection).await?;
        let wanted = attributes(service, user);
        let reply = self.call(&collection, OF_COLLECTION, "SearchItems", &wanted).await?;
        let found: Vec<OwnedObjectPath> = read(&reply)?;
        Ok(found.into_iter().next())
    }

    /// The collection that is opened by logging in, else the default one.
    async fn collection(&self) -> Result<OwnedObjectPath> {
        let root = path(ROOT)?;
        let reply = self.call(&root, PROPERTIES, "Get", &(OF_SERVICE, "Collections")).await?;
        let all: OwnedVariant = read(&reply)?;
        let all: Vec<OwnedObjectPath> = Vec::try_from(all)?;
        let login = all.into_iter().find(|collection| collection.as_str() == LOGIN);
        login.map_or_else(|| path(DEFAULT), Ok)
    }

    async fn unlock(&self, what: &OwnedObjectPath) -> Result<()> {
        let reply = self.call(&path(ROOT)?, OF_SERVICE, "Unlock", &[what].as_slice()).await?;
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = read(&reply)?;
        self.prompt(&prompt).await
    }

    /// Lets the user answer, however long that takes, if there is a question (`/` is none).
    async fn prompt(&self, prompt: &OwnedObjectPath) -> Result<()> {
        if prompt.as_str() == "/" {
            return Ok(());
        }
        // Before the question is put, so that no answer is missed.
        let answers = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .path(prompt.as_str())
            .interface(OF_PROMPT)
            .member("Completed")
            .build()?;
        let mut answers = MessageStream::for_match_rule(answers, &self.bus, None).await?;
        self.call(prompt, OF_PROMPT, "Prompt", &"").await?;
        let answer = poll_fn(|context| Pin::new(&mut answers).poll_next(context)).await;
        let (dismissed, _): (bool, OwnedVariant) = read(&answer.ok_or(Error::Dismissed)??)?;
        if dismissed { Err(Error::Dismissed) } else { Ok(()) }
    }

    async fn open_session(&self) -> Result<OwnedObjectPath> {
        let body = ("plain", Variant::from(""));
        let reply = self.call(&path(ROOT)?, OF_SERVICE, "OpenSession", &body).await?;
        let (_, session): (OwnedVariant, OwnedObjectPath) = read(&reply)?;
        Ok(session)
    }

    /// Ends a session. That it cannot be ended does no harm: it ends with the connection.
    async fn close(&self, session: &OwnedObjectPath) {
        let _ = self.call(session, OF_SESSION, "Close", &()).await;
    }

    async fn call<B: Serialize + Type>(
        &self,
        path: &OwnedObjectPath,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<Message> {
        let path: &ObjectPath<'_> = path;
        Ok(self.bus.call_method(Some(SERVICE), path, Some(interface), method, body).await?)
    }
}

const TEXT: &str = "text/plain; charset=utf8";

fn attributes<'a>(service: &'a str, user: &'a str) -> HashMap<&'a str, &'a str> {
    HashMap::from([("service", service), ("username", user)])
}

fn path(text: &'static str) -> Result<OwnedObjectPath> {
    Ok(ObjectPath::try_from(text)?.into())
}

fn read<T: DeserializeOwned + Type>(message: &Message) -> Result<T> {
    Ok(message.body().deserialize()?)
}
