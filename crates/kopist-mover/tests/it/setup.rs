//! Steps that prepare a scenario.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kopist_testkit::oracle::Client;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::container::Container;
use crate::scenario::{Scenarios, arguments};

fn text<'a>(step: &'a Value, key: &str) -> &'a str {
    step[key].as_str().unwrap_or_else(|| panic!("{key} of {step}"))
}

fn mode_of(step: &Value) -> Option<u32> {
    step["mode"].as_str().map(|mode| u32::from_str_radix(mode, 8).unwrap())
}

/// Steps that make files only.
pub(crate) fn files(container: &Container, steps: &[Value]) {
    for step in steps {
        assert!(file_step(container, step), "not a step for files: {step}");
    }
}

/// Makes a file or the like; `false` if the step is of another kind.
fn file_step(container: &Container, step: &Value) -> bool {
    let path = step["path"].as_str().map(|path| container.path(path));
    let path = || path.clone().unwrap();
    match text(step, "op") {
        "write" => {
            make_parents(container, &path());
            std::fs::write(path(), content(step)).unwrap();
        }
        "mkdir" => {
            make_parents(container, &path());
            std::fs::create_dir_all(path()).unwrap();
        }
        "symlink" => std::os::unix::fs::symlink(text(step, "target"), path()).unwrap(),
        "remove" => {
            let path = path();
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
                .unwrap();
            return true;
        }
        "chmod" => {
            let mode = mode_of(step).unwrap();
            std::fs::set_permissions(path(), PermissionsExt::from_mode(mode)).unwrap();
            return true;
        }
        "chown" => {
            container.give(&path(), step["uid"].as_u64().unwrap().try_into().unwrap());
            return true;
        }
        "clear-cache" => clear(&container.path("/cache")),
        "clear-dest" => clear(&container.path("/restore/data")),
        _ => return false,
    }
    if step["path"].is_string() {
        match step["uid"].as_u64() {
            Some(uid) => container.give(&path(), uid.try_into().unwrap()),
            None => container.own(&path()),
        }
        if let Some(mode) = mode_of(step) {
            std::fs::set_permissions(path(), PermissionsExt::from_mode(mode)).unwrap();
        }
        if let Some(mtime) = step["mtime"].as_f64() {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(mtime);
            let file = std::fs::File::options().read(true).open(path()).unwrap();
            file.set_modified(time).unwrap();
        }
    }
    true
}

fn make_parents(container: &Container, path: &Path) {
    let missing: Vec<PathBuf> = path
        .ancestors()
        .skip(1)
        .take_while(|parent| !parent.exists())
        .map(Path::to_owned)
        .collect();
    for parent in missing.iter().rev() {
        std::fs::create_dir(parent).unwrap();
        container.own(parent);
    }
}

fn clear(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }
}

fn content(step: &Value) -> Vec<u8> {
    if let Some(content) = step["content"].as_str() {
        return content.into();
    }
    if let Some(parts) = step["content_parts"].as_array() {
        let part = |part: &Value| {
            part[0].as_str().unwrap().repeat(part[1].as_u64().unwrap().try_into().unwrap())
        };
        return parts.iter().map(part).collect::<String>().into_bytes();
    }
    let seed = step["seed"].as_u64().unwrap();
    let size: usize = step["size"].as_u64().unwrap().try_into().unwrap();
    let mut bytes = Vec::with_capacity(size + 32);
    for index in 0u64.. {
        if bytes.len() >= size {
            break;
        }
        let mut hash = Sha256::new();
        hash.update(seed.to_be_bytes());
        hash.update(index.to_be_bytes());
        bytes.extend_from_slice(&hash.finalize());
    }
    bytes.truncate(size);
    bytes
}

/// The reference program beside a container.
pub(crate) struct Oracle<'c> {
    container: &'c Container,
    program: PathBuf,
}

impl<'c> Oracle<'c> {
    pub(crate) fn new(container: &'c Container, program: &Path) -> Self {
        Self { container, program: program.to_owned() }
    }

    /// A client with this identity; connects on first use.
    pub(crate) fn client(
        &self,
        user: &str,
        host: &str,
        path: &str,
        password: &str,
    ) -> Connected<'c> {
        let folder =
            self.container.path(&format!("/oracle/{user}@{host}{}", path.replace('/', "_")));
        let connected = folder.join("repository.config").exists();
        make_parents(self.container, &folder);
        let client = Client::new(&self.program, &folder, password);
        self.container.own(&folder);
        let client = Connected { container: self.container, client };
        if !connected && self.container.path(path).join("kopia.repository.f").exists() {
            let at = self.container.path(path);
            client.ok(&[
                "repository",
                "connect",
                "filesystem",
                "--path",
                at.to_str().unwrap(),
                "--override-username",
                user,
                "--override-hostname",
                host,
            ]);
        }
        client
    }
}

/// A client of the reference, run as the container's user.
pub(crate) struct Connected<'c> {
    container: &'c Container,
    client: Client,
}

impl Connected<'_> {
    pub(crate) fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let mut command = self.client.command(arguments);
        let output = self.container.as_user(&mut command).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let (success, stdout, stderr) = self.run(arguments);
        assert!(success, "kopia {}: {stdout}{stderr}", arguments.join(" "));
        stdout
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(arguments);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// Steps of a whole scenario.
pub(crate) fn all(
    scenarios: &Scenarios,
    container: &Container,
    kopia: Option<&Path>,
    steps: &[Value],
) {
    for step in steps {
        if !file_step(container, step) {
            repository_step(scenarios, container, kopia, step);
        }
    }
}

fn repository_step(
    scenarios: &Scenarios,
    container: &Container,
    kopia: Option<&Path>,
    step: &Value,
) {
    let or = |key: &str, default: &str| step[key].as_str().unwrap_or(default).to_owned();
    let extra: Vec<&str> =
        step["args"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let oracle = || Oracle::new(container, kopia.expect("kopia is there"));
    let repository = or("repo", "/mnt/repo");
    match text(step, "op") {
        "mover" => {
            let mode = text(step, "mode");
            let env = scenarios.env(mode, &step["env"]);
            let ended = container.mover(&arguments(step, mode), &env);
            let expected = step["expect_exit"].as_i64().unwrap_or(0);
            assert_eq!(i64::from(ended.code()), expected, "{step}\n{}", ended.log);
        }
        "repo-create" => {
            let at = container.path(&or("path", "/mnt/repo"));
            make_parents(container, &at.join("x"));
            let client = oracle().client("creator", "creator", "/none", &or("password", "pw"));
            let mut arguments = vec![
                "repository",
                "create",
                "filesystem",
                "--path",
                at.to_str().unwrap(),
                "--override-username=creator",
                "--override-hostname=creator",
            ];
            arguments.extend(&extra);
            client.ok(&arguments);
        }
        "kopia" => {
            let client =
                oracle().client(&or("user", "oracle"), &or("host", "oracle"), &repository, "pw");
            let arguments: Vec<String> = extra
                .iter()
                .map(|argument| match argument.strip_prefix('{') {
                    Some(rest) => {
                        let path = rest.trim_end_matches('}');
                        container.path(path).to_str().unwrap().to_owned()
                    }
                    None => (*argument).to_owned(),
                })
                .collect();
            client.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        }
        "snapshot-at" => {
            let (user, host) = (or("user", "app"), or("host", "ns1"));
            let client = oracle().client(&user, &host, &repository, "pw");
            let data = container.path("/data");
            let time = format!("{} UTC", text(step, "time"));
            let source = format!("{user}@{host}:{}", or("source_path", "/data"));
            let mut arguments = vec![
                "snapshot",
                "create",
                data.to_str().unwrap(),
                "--override-source",
                &source,
                "--start-time",
                &time,
                "--end-time",
                &time,
            ];
            arguments.extend(&extra);
            client.ok(&arguments);
        }
        "remove-blobs" => {
            let prefix = text(step, "prefix");
            for file in walkdir::WalkDir::new(container.path(&repository)) {
                let file = file.unwrap();
                let name = file
                    .path()
                    .strip_prefix(container.path(&repository))
                    .unwrap()
                    .to_string_lossy()
                    .replace('/', "");
                if file.file_type().is_file() && name.starts_with(prefix) {
                    std::fs::remove_file(file.path()).unwrap();
                }
            }
        }
        other => panic!("unknown step {other}: {step}"),
    }
}
