//! The names of the user and of the machine (`kopia:repo/userhost.go`).

use std::fs;

use super::Environment;

/// The user that runs this process: by the password file, else by `$USER`, else `nobody`.
pub fn default_user_name(env: &Environment) -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let listed = fs::read_to_string("/etc/passwd").ok().and_then(|text| user_of(&text, &uid));
    listed.or_else(|| env.text("USER")).unwrap_or_else(|| "nobody".to_owned())
}

fn user_of(passwd: &str, uid: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

/// The name of this machine up to the first dot, in lower case.
pub fn default_host_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let first = name.split('.').next().unwrap_or_default().to_lowercase();
    if first.is_empty() { "nohost".to_owned() } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:\n";
        assert_eq!(user_of(passwd, "1000").as_deref(), Some("bob"));
        assert_eq!(user_of(passwd, "7"), None);
    }
}
