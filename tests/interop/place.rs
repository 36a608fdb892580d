//! Where a repository lies, as a command line says it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kopist_testkit::oracle::Client;
use serde_json::Value;

/// How programs reach a storage.
pub(crate) struct Place {
    /// The command and flags after `repository create` or `connect`.
    pub(crate) arguments: Vec<String>,
    /// What the environment says besides.
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Place {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|a| (*a).to_owned()).collect();
        Self { arguments, environment: Vec::new() }
    }

    /// A place that only a token can name: there are no flags for all of its settings.
    pub(crate) fn by_token(kind: &str, config: &Value) -> Self {
        let storage = serde_json::json!({"type": kind, "config": config});
        let token = serde_json::json!({"version": "1", "storage": storage}).to_string();
        Self::new(&["from-config", "--token", &URL_SAFE_NO_PAD.encode(token)])
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Tells a client of the environment.
    pub(crate) fn prepare(&self, client: &mut Client) {
        for (name, value) in &self.environment {
            client.set(name, value);
        }
    }

    /// The command line that does something to a repository here.
    pub(crate) fn to<'a>(&'a self, action: &'a str) -> Vec<&'a str> {
        let mut arguments = vec!["repository", action];
        arguments.extend(self.arguments.iter().map(String::as_str));
        arguments
    }

    /// The command line that creates a repository or connects to it.
    pub(crate) fn command<'a>(&'a self, action: &'a str) -> Vec<&'a str> {
        let mut arguments = self.to(action);
        arguments.extend([
            "--override-username",
            "someone",
            "--override-hostname",
            "somewhere",
            "--max-list-cache-duration=0s",
        ]);
        arguments
    }

    pub(crate) fn run(&self, client: &Client, action: &str) {
        client.ok(&self.command(action));
    }
}
