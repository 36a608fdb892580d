//! Where the keys come from: the configuration, the environment, the place we run in, or a role
//! that another key may take.
//!
//! * [`sts`]: the security token service, which lends keys for a role;
//! * [`nearby`]: the agent of a container and the metadata service of a machine.
//!
//! Which of them it is is decided once, in the order of kopia (kopia:repo/blob/s3): keys that are
//! configured, those of the environment, a web identity, a container, a machine.

mod nearby;
mod sts;

use std::sync::Arc;

use jiff::SignedDuration;
use kopist_blob::{BlobError, Operation};

use super::config::Config;
use super::sign::Keys;
use crate::http::Trust;
use crate::renewed::{Lent, Renewed};
use crate::settings::is_sendable;
use crate::site::Site;
use nearby::{Container, Machine};
use sts::{Role, WebIdentity};

/// Keys are renewed when they hold for less than this.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// Keys that may have to be renewed.
pub(super) struct Credentials {
    source: Source,
    trust: Trust,
    site: Site,
    held: Renewed<Keys>,
}

enum Source {
    /// As configured.
    Configured(Keys),
    /// As the environment has them.
    Environment(Keys),
    /// A role that the configured keys may take.
    Role {
        keys: Keys,
        role: Role,
    },
    WebIdentity(WebIdentity),
    Container(Container),
    Machine(Machine),
}

/// Looks up a variable of the environment. Empty ones count as absent.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Source {
    fn find(config: &Config, variable: Variables<'_>) -> Self {
        let keys = Keys {
            id: config.access_key_id.clone(),
            secret: config.secret_access_key.clone(),
            token: config.session_token.clone(),
        };
        if !config.role_arn.is_empty() {
            return Self::Role { keys, role: Role::new(config) };
        }
        if !keys.id.is_empty() && !keys.secret.is_empty() {
            return Self::Configured(keys);
        }
        if let Some(keys) = from_environment(variable) {
            return Self::Environment(keys);
        }
        if let Some(identity) = WebIdentity::find(variable) {
            return Self::WebIdentity(identity);
        }
        match Container::find(variable) {
            Some(container) => Self::Container(container),
            None => Self::Machine(Machine::new(variable)),
        }
    }

    /// What to check when the keys are refused.
    fn setting(&self, usual: &'static str) -> &'static str {
        match self {
            Self::Configured(_) => usual,
            Self::Role { .. } => "--access-key, --secret-access-key and roleARN",
            Self::Environment(_) => {
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
            }
            Self::WebIdentity(_) => "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE",
            Self::Container(_) => "the role of this container",
            Self::Machine(_) => "the role of this machine",
        }
    }
}

impl Credentials {
    pub(super) fn new(
        config: &Config,
        trust: Trust,
        site: Site,
        variable: Variables<'_>,
    ) -> Result<Self, BlobError> {
        let source = Source::find(config, variable);
        let setting = source.setting(site.settings.credentials);
        let site = site.with(setting);
        if let Source::Configured(keys) | Source::Environment(keys) | Source::Role { keys, .. } =
            &source
            && !are_sendable(keys)
        {
            return Err(site.invalid(format!(
                "{}: a key has a character that no key has, such as the end of a line",
                site.settings.credentials
            )));
        }
        Ok(Self { source, trust, site, held: Renewed::new(MARGIN) })
    }

    /// The store, as errors of requests with these keys speak of it.
    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Whether new keys can be had when the server says that these have expired.
    pub(super) fn renewable(&self) -> bool {
        !matches!(self.source, Source::Configured(_) | Source::Environment(_))
    }

    /// Forgets keys that the server no longer takes.
    pub(super) fn forget(&self, used: &Arc<Keys>) {
        self.held.forget(used);
    }

    /// Keys that hold now.
    pub(super) fn keys(&self) -> Result<Arc<Keys>, BlobError> {
        self.held.get(|| self.fetch())
    }

    fn fetch(&self) -> Result<Lent<Keys>, BlobError> {
        let lent = match &self.source {
            Source::Configured(keys) | Source::Environment(keys) => {
                Lent { thing: keys.clone(), until: None }
            }
            Source::Role { keys, role } => self.assume(keys, role)?,
            Source::WebIdentity(identity) => self.by_web_identity(identity)?,
            Source::Container(container) => self.of_container(container)?,
            Source::Machine(machine) => self.of_machine(machine)?,
        };
        if are_sendable(&lent.thing) {
            return Ok(lent);
        }
        let what = "its keys have characters that no key has";
        Err(self.site.nonsense(what, Operation::Open, &self.site.target()))
    }
}

/// What of the keys is sent; the secret only signs.
fn are_sendable(keys: &Keys) -> bool {
    is_sendable(&keys.id) && keys.token.is_sendable()
}

fn from_environment(variable: Variables<'_>) -> Option<Keys> {
    let id = variable("AWS_ACCESS_KEY_ID").or_else(|| variable("AWS_ACCESS_KEY"))?;
    let secret = variable("AWS_SECRET_ACCESS_KEY").or_else(|| variable("AWS_SECRET_KEY"))?;
    let token = variable("AWS_SESSION_TOKEN").unwrap_or_default();
    Some(Keys { id, secret: secret.into(), token: token.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;
    use kopist_blob::StorageConfig;
    use serde_json::{Value, json};

    /// Variables that are set.
    type Set<'a> = &'a [(&'static str, &'a str)];

    /// Credentials of a configuration in an environment of these variables.
    pub(super) fn find(config: &Value, variables: Set<'_>) -> Result<Credentials, BlobError> {
        let mut all = json!({"bucket": "b", "endpoint": "e"});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let config = Config::from_storage(&StorageConfig::new("s3", all)).unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        Credentials::new(&config, Trust::System, site(), &variable)
    }

    #[test]
    fn keys_that_cannot_be_renewed_are_told_apart_and_named() {
        let configured = json!({"accessKeyID": "a", "secretAccessKey": "s"});
        let role = json!({"accessKeyID": "a", "secretAccessKey": "s", "roleARN": "r"});
        let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let web = [("AWS_ROLE_ARN", "r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "f")];
        let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://h/p")];
        let cases: [(Value, Set<'_>, bool, &str); 6] = [
            (configured, &keys, false, "--access-key"),
            (role, &keys, true, "roleARN"),
            (json!({}), &keys, false, "AWS_ACCESS_KEY_ID"),
            (json!({}), &web, true, "AWS_WEB_IDENTITY_TOKEN_FILE"),
            (json!({}), &container, true, "this container"),
            (json!({}), &[], true, "this machine"),
        ];
        for (config, variables, renewable, setting) in cases {
            let found = find(&config, variables).unwrap();
            assert_eq!(found.renewable(), renewable, "{setting}");
            assert!(found.site().settings.credentials.contains(setting), "{setting}");
        }
    }

    #[test]
    fn keys_that_cannot_be_sent_are_refused_by_the_name_of_their_setting() {
        let id = json!({"accessKeyID": "a\n", "secretAccessKey": "s"});
        let token =
            json!({"accessKeyID": "a", "secretAccessKey": "s", "sessionToken": "hunter2\n"});
        let variables = [("AWS_ACCESS_KEY_ID", "k\r"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let none: Set<'_> = &[];
        for (config, variables, setting) in [
            (id, none, "--access-key"),
            (token, none, "--access-key"),
            (json!({}), &variables, "AWS_ACCESS_KEY_ID"),
        ] {
            let error = find(&config, variables).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(setting) && text.contains("end of a line"), "{text}");
            assert!(!text.contains("hunter2") && !error.is_retriable(), "{text}");
        }
    }
}
