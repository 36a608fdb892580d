//! Values that are possible and yet look like a slip. They are remarked upon, never refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::Findings;
use crate::env::Env;

/// Remarks on what looks like a slip.
pub(super) fn remark(env: &Env, findings: &mut Findings) {
    for name in
        ["KOPIA_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "B2_APPLICATION_KEY"]
    {
        let Some(value) = env.text(name) else { continue };
        if is_quoted(value) {
            findings.notice(format!(
                "{name} begins and ends with a quotation mark, which is taken as a part of it"
            ));
        }
        if name == "KOPIA_PASSWORD" && is_encoded(value) {
            findings.notice(format!(
                "{name} looks like base64, and is taken as it is: values below data: of a Secret \
                 are encoded once, those below stringData: not at all"
            ));
        }
        if is_placeholder(value) {
            findings.notice(format!("{name} looks like a placeholder of an example"));
        }
    }
    for (one, other) in [
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
    ] {
        if env.is_set(one) && !env.is_set(other) {
            findings.notice(format!("{one} is set and {other} is not"));
        }
    }
}

fn is_quoted(value: &str) -> bool {
    ['"', '\'']
        .iter()
        .any(|mark| value.len() > 1 && value.starts_with(*mark) && value.ends_with(*mark))
}

/// Base64 with its padding, of something that a person could have typed.
fn is_encoded(value: &str) -> bool {
    let typed = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\n';
    value.ends_with('=')
        && STANDARD.decode(value).is_ok_and(|bytes| bytes.len() > 3 && bytes.into_iter().all(typed))
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_lowercase();
    (lower.starts_with('<') && lower.ends_with('>'))
        || ["changeme", "change-me", "your-password", "replace-me"].contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks(env: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Findings::default();
        remark(&env.iter().copied().collect(), &mut findings);
        findings.notices.into_iter().map(|notice| notice.0).collect()
    }

    #[test]
    fn slips_are_remarked_upon_without_the_value() {
        for (name, value, part) in [
            ("KOPIA_PASSWORD", "\"TOPSECRET\"", "quotation mark"),
            ("KOPIA_PASSWORD", "VE9QU0VDUkVUMQ==", "base64"),
            ("KOPIA_PASSWORD", "<TOPSECRET>", "placeholder"),
            ("AWS_ACCESS_KEY_ID", "TOPSECRET", "AWS_SECRET_ACCESS_KEY is not"),
        ] {
            let remarks = remarks(&[(name, value)]);
            assert_eq!(remarks.len(), 1, "{value}: {remarks:?}");
            assert!(remarks[0].contains(part) && !remarks[0].contains("TOPSECRET"), "{remarks:?}");
        }
    }

    #[test]
    fn ordinary_values_pass() {
        for value in ["correct horse", "a-long-PASSWORD-value", "x=", "aGk=", "\"", "pass=word="] {
            assert_eq!(remarks(&[("KOPIA_PASSWORD", value)]), [""; 0], "{value}");
        }
    }
}
