use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, ByteRange, Operation, Target};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;

use super::auth::Auth;
use super::behind::Behind;
use super::config::Config;
use super::multistatus::{self, Resource};
use crate::http::{Answer, Client, Fetched, Request, encode_path, length, read};
use crate::site::{Meaning, Refusal, Settings, Site};
use crate::stores::sharded::{Entry, Stat, Tree};

pub(super) const SETTINGS: Settings = Settings {
    address: "--url",
    trust: "SSL_CERT_FILE (or trustedServerCertificateFingerprint)",
    credentials: "--webdav-username and --webdav-password",
    place: "the collection at --url",
};

/// Bodies up to this size reach a server whole even if it answers before it has read them.
const SMALL: u64 = 32 << 10;

/// Files behind a web server.
#[derive(Debug)]
pub(in crate::stores) struct DavTree {
    client: Client,
    auth: Auth,
    /// Scheme, host and port.
    server: String,
    /// Path of the collection, encoded, without a `/` at its end.
    base: String,
    atomic: bool,
    /// Collections below the root that are known to exist.
    collections: Mutex<HashSet<String>>,
    /// What rclone says, if that is the server.
    rclone: Option<Arc<Behind>>,
}

impl DavTree {
    pub(in crate::stores) fn new(config: &Config, site: Site) -> Result<Self, BlobError> {
        let Some((scheme @ ("http" | "https"), rest)) = config.url.split_once("://") else {
            return Err(site.invalid("url must begin with http:// or https://"));
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // Name and password in the URL are those of the connection, unless others are given.
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let auth = if config.username.is_empty() && !user.is_empty() {
            Auth::new(&decoded(user), &decoded(password).into())
        } else {
            Auth::new(&config.username, &config.password)
        };
        let server = format!("{scheme}://{host}");
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let base = if path.is_empty() { String::new() } else { format!("/{path}") };
        let client = Client::new(&server, &config.trust(), site)?;
        let (atomic, collections) = (config.atomic_writes, Mutex::default());
        Ok(Self { client, auth, server, base, atomic, collections, rclone: None })
    }

    /// The server is rclone, which says 405 to whatever trouble its remote has, and 404 or 500 to
    /// requests for a file that the remote refused.
    #[cfg(feature = "rclone")]
    pub(in crate::stores) fn of_rclone(self, behind: Arc<Behind>) -> Self {
        Self { rclone: Some(behind), ..self }
    }

    fn site(&self) -> &Site {
        self.client.site()
    }

    /// The path of a file on the server, encoded.
    fn path_of(&self, path: &str) -> String {
        format!("{}/{}", self.base, encode_path(path))
    }

    /// Sends a request; if the server asks for another kind of proof, once more.
    fn send(
        &self,
        method: &'static str,
        path: &str,
        prepare: &dyn Fn(Request<'static>) -> Request<'static>,
        body: Option<&[&[u8]]>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let mut challenged = false;
        loop {
            let mut request = prepare(
                Request::new(method, format!("{}{path}", self.server))
                    .header("accept-encoding", "identity"),
            );
            let proof = self.auth.header(method, path);
            if let Some(proof) = &proof {
                request = request.header("authorization", proof);
            }
            let request = Request { body, ..request };
            let answer = self.client.send(&request, operation, target)?;
            if answer.status == 401 && !challenged {
                let challenges = answer.headers().filter(|(name, _)| *name == "www-authenticate");
                let challenges = challenges.map(|(_, value)| value);
                challenged = self.auth.challenged(proof.as_deref(), challenges);
                if challenged {
                    continue;
                }
            }
            return Ok(answer);
        }
    }

    /// What an answer means that tells of trouble behind rclone.
    fn trouble(&self, answer: &Answer, operation: Operation) -> Option<Refusal> {
        let behind = self.rclone.as_ref()?;
        let settings = &self.site().settings;
        let trouble = behind.trouble(&format!("{} and {}", settings.credentials, settings.place));
        // A file that was refused, rclone does not find, or cannot look at from then on.
        let follows = answer.status == 404 && operation == Operation::Put || answer.status >= 500;
        let told = follows && trouble.meaning != Meaning::Passing;
        (answer.status == 405 || told).then_some(trouble)
    }

    fn refused(&self, answer: &Answer, operation: Operation, target: &Target) -> BlobError {
        let mut refusal = Refusal::by_status(answer);
        let mut status = answer.status;
        if status == 207 {
            // Some of it was not done, and inside is why.
            refusal = Refusal::new(answer, Meaning::Lasting, "", "");
            if let Some((code, text)) = multistatus::failure(&answer.body) {
                status = code;
                refusal = Refusal::new(answer, Meaning::of_status(code), "", &text);
            }
        }
        // Servers answer so while another request holds a lock or makes a directory; and what is
        // missing for a put is a collection, or a file that another process replaces just now.
        let missing = matches!(status, 404 | 410) && operation == Operation::Put;
        if missing || matches!(status, 409 | 423) {
            refusal.meaning = Meaning::Passing;
        }
        if matches!(status, 404 | 410) && !matches!(target, Target::Blob(_)) {
            refusal.meaning = Meaning::NoPlace;
        }
        // Moving over what exists is always asked for, so this is not about a blob.
        if status == 412 {
            refusal.meaning = Meaning::Lasting;
        }
        if let Some(trouble) = self.trouble(answer, operation) {
            refusal = trouble;
        }
        self.site().refused(&refusal, operation, target)
    }

    fn properties(
        &self,
        path: &str,
        depth: &'static str,
        operation: Operation,
        target: &Target,
    ) -> Result<Result<Vec<Resource>, Answer>, BlobError> {
        let prepare = |request: Request<'static>| {
            request.header("depth", depth).header("content-type", "application/xml; charset=utf-8")
        };
        let parts = [multistatus::QUESTION.as_bytes()];
        let answer = self.send("PROPFIND", path, &prepare, Some(&parts), operation, target)?;
        if answer.status != 207 {
            return Ok(Err(answer));
        }
        multistatus::parse(&answer.body)
            .map(Ok)
            .map_err(|what| self.site().nonsense(what, operation, target))
    }

    fn put(&self, path: &str, data: &[&[u8]], target: &Target) -> Result<Answer, BlobError> {
        let prepare =
            |request: Request<'static>| request.header("content-type", "application/octet-stream");
        self.send("PUT", path, &prepare, Some(data), Operation::Put, target)
    }

    /// Makes the collection above a file, and those above it if they are missing too.
    fn make_parents(&self, path: &str, target: &Target) -> Result<(), BlobError> {
        let Some((parent, _)) = path.rsplit_once('/') else { return Ok(()) };
        let make = |path: &str| {
            let path = format!("{}/", self.path_of(path));
            self.send("MKCOL", &path, &|request| request, None, Operation::Put, target)
        };
        let mut answer = make(parent)?;
        if matches!(answer.status, 404 | 409) {
            // One of those above is missing: make all, from the outermost.
            for (end, _) in parent.match_indices('/') {
                let above = make(&parent[..end])?;
                if !may_exist(&above) {
                    answer = above;
                    return Err(self.no_collection(&answer, target));
                }
            }
            answer = make(parent)?;
        }
        if may_exist(&answer) {
            return Ok(());
        }
        Err(self.no_collection(&answer, target))
    }

    fn no_collection(&self, answer: &Answer, target: &Target) -> BlobError {
        if matches!(answer.status, 404 | 409) && self.trouble(answer, Operation::Put).is_none() {
            let refusal =
                Refusal::new(answer, Meaning::NoPlace, "", "the collection does not exist");
            return self.site().refused(&refusal, Operation::Put, target);
        }
        self.refused(answer, Operation::Put, target)
    }

    fn put_making_parents(
        &self,
        file: &str,
        path: &str,
        data: &[&[u8]],
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        let known = parent.is_none_or(|parent| self.collections.lock().contains(parent));
        // Servers such as rclone refuse a file whose collection is missing before they have read
        // it, and hang up; of a large one we would never hear why.
        if !known && length(data) > SMALL {
            self.make_parents(path, target)?;
        }
        let mut answer = self.put(file, data, target)?;
        if matches!(answer.status, 403 | 404 | 409) && path.contains('/') {
            self.make_parents(path, target)?;
            answer = self.put(file, data, target)?;
        }
        if is_done(&answer) {
            if let (false, Some(parent)) = (known, parent) {
                self.collections.lock().insert(parent.to_owned());
            }
            Ok(answer)
        } else if matches!(answer.status, 404 | 409) && !path.contains('/') {
            Err(self.no_collection(&answer, target))
        } else {
            Err(self.refused(&answer, Operation::Put, target))
        }
    }

    fn discard(&self, path: &str, target: &Target) {
        let gone = self.send("DELETE", path, &|request| request, None, Operation::Put, target);
        if let Err(error) = gone {
            tracing::debug!(%error, "the remains of a failed write stay");
        }
    }
}

/// Whether a file was put or moved. 207 would say that a part of it was not (RFC 4918).
fn is_done(answer: &Answer) -> bool {
    matches!(answer.status, 200 | 201 | 204)
}

/// A name or a password out of a URL.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Whether a collection may be there after the answer to a request to make it: 405 says that it
/// exists, and Apache says 403 when another request makes it at the same time. What is put there
/// next is answered 403 as well if that was meant.
fn may_exist(made: &Answer) -> bool {
    made.is_success() || matches!(made.status, 403 | 405)
}

impl Tree for DavTree {
    fn read(&self, path: &str, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let target = Target::from(id);
        let file = self.path_of(path);
        read(
            self.site(),
            id,
            range,
            |range| {
                let prepare = |request: Request<'static>| request.range(range);
                let answer = self.send("GET", &file, &prepare, None, Operation::Get, &target)?;
                match answer.status {
                    200 | 206 => Ok(Fetched::Answer(answer)),
                    416 => Ok(Fetched::OutOfRange(answer)),
                    404 if self.rclone.is_some() => {
                        // Asked for properties, it tells what is missing from what is in trouble.
                        self.stat(path, id)?;
                        Err(self.site().nonsense("404 for what exists", Operation::Get, &target))
                    }
                    _ => Err(self.refused(&answer, Operation::Get, &target)),
                }
            },
            || Ok(self.stat(path, id)?.length),
        )
    }

    fn stat(&self, path: &str, id: &BlobId) -> Result<Stat, BlobError> {
        let target = Target::from(id);
        let operation = Operation::Metadata;
        match self.properties(&self.path_of(path), "0", operation, &target)? {
            Ok(found) => found
                .first()
                .and_then(|resource| resource.file)
                .ok_or_else(|| self.site().nonsense("it is no file", operation, &target)),
            Err(answer) => Err(self.refused(&answer, operation, &target)),
        }
    }

    fn write(
        &self,
        path: &str,
        id: &BlobId,
        data: &[&[u8]],
        _time: Option<Timestamp>,
    ) -> Result<Stat, BlobError> {
        let target = Target::from(id);
        let file = self.path_of(path);
        let answer = if self.atomic {
            self.put_making_parents(&file, path, data, &target)?
        } else {
            let number = getrandom::u64().map_err(|error| {
                self.site().remote(Operation::Put, &target, false, error.to_string())
            })?;
            let temporary = format!("{file}-{}", number >> 1);
            self.put_making_parents(&temporary, path, data, &target)?;
            let destination = format!("{}{file}", self.server);
            let prepare = |request: Request<'static>| {
                let request = request.header("destination", &destination).header("overwrite", "T");
                request.work(length(data))
            };
            let moved = self.send("MOVE", &temporary, &prepare, None, Operation::Put, &target);
            match moved {
                Ok(answer) if is_done(&answer) => answer,
                Ok(answer) => {
                    self.discard(&temporary, &target);
                    return Err(self.refused(&answer, Operation::Put, &target));
                }
                Err(error) => {
                    self.discard(&temporary, &target);
                    return Err(error);
                }
            }
        };
        match answer.time("date") {
            Some(time) => Ok(Stat { length: length(data), time }),
            None => self.stat(path, id),
        }
    }

    fn remove(&self, path: &str, id: &BlobId) -> Result<(), BlobError> {
        let target = Target::from(id);
        let file = self.path_of(path);
        let answer =
            self.send("DELETE", &file, &|request| request, None, Operation::Delete, &target)?;
        match answer.status {
            200 | 204 | 404 | 410 => Ok(()),
            _ => Err(self.refused(&answer, Operation::Delete, &target)),
        }
    }

    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, BlobError> {
        let target = if path.is_empty() { self.site().target() } else { Target::Path(path.into()) };
        let mut directory = self.path_of(path);
        if !directory.ends_with('/') {
            directory.push('/');
        }
        let found = match self.properties(&directory, "1", Operation::List, &target)? {
            Ok(found) => found,
            Err(answer) if matches!(answer.status, 404 | 410) && !path.is_empty() => {
                return Ok(None);
            }
            Err(answer) => return Err(self.refused(&answer, Operation::List, &target)),
        };
        // The first is the collection itself; some servers put it elsewhere in the list.
        let own = decoded(directory.trim_end_matches('/'));
        let entries = found
            .into_iter()
            .filter(|resource| resource.path != own)
            .filter_map(|resource| {
                let name = resource.path.rsplit('/').next()?.to_owned();
                (!name.is_empty()).then_some(Entry { name, file: resource.file })
            })
            .collect();
        Ok(Some(entries))
    }

    fn sets_times(&self) -> bool {
        false
    }
}
