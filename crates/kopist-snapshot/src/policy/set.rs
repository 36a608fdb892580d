//! All policies of a repository, and what they mean for one source.

use std::collections::BTreeMap;

use super::merge::{Origins, merge};
use super::model::Policy;
use super::tree::{PolicyAt, PolicyTree};
use crate::SourceInfo;

/// Labels of a manifest.
pub type Labels = BTreeMap<String, String>;

/// A policy with the manifest it is in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredPolicy {
    /// Id of the manifest.
    pub id: String,
    /// The level it is for.
    pub target: SourceInfo,
    /// The policy.
    pub policy: Policy,
}

/// What is in effect for a source, and why.
#[derive(Clone, Debug)]
pub struct EffectivePolicy {
    /// The merged policy.
    pub policy: Policy,
    /// Which level gave each field.
    pub origins: Origins,
    /// The levels that have a policy, the most specific first. The source itself is always the
    /// first one, also without a policy of its own.
    pub hierarchy: Vec<SourceInfo>,
}

/// All policies of a repository, in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    policies: Vec<StoredPolicy>,
}

impl PolicySet {
    /// From policies ordered by the time of writing, the oldest first.
    #[must_use]
    pub fn new(policies: Vec<StoredPolicy>) -> Self {
        Self { policies }
    }

    /// The policies in the order in which they were written.
    #[must_use]
    pub fn all(&self) -> &[StoredPolicy] {
        &self.policies
    }

    /// The policy set for exactly this level. When several were written at the same time by
    /// different clients, the last one.
    #[must_use]
    pub fn defined(&self, target: &SourceInfo) -> Option<&StoredPolicy> {
        self.policies.iter().rev().find(|stored| stored.target == *target)
    }

    /// The policy in effect for a source.
    #[must_use]
    pub fn effective(&self, source: &SourceInfo) -> EffectivePolicy {
        self.effective_with(source, None)
    }

    /// The same, with `instead` in the place of the policy set for the source itself.
    #[must_use]
    pub fn effective_with(&self, source: &SourceInfo, instead: Option<&Policy>) -> EffectivePolicy {
        let mut levels: Vec<(SourceInfo, &Policy)> = Vec::new();
        if let Some(policy) = instead {
            levels.push((source.clone(), policy));
        }
        let mut add = |target: SourceInfo| {
            if instead.is_some() && target == *source {
                return;
            }
            // Of several policies for one level the oldest has priority.
            let found = self.policies.iter().filter(|stored| stored.target == target);
            levels.extend(found.map(|stored| (target.clone(), &stored.policy)));
        };
        let mut path = source.path.as_str();
        let mut parent;
        while !path.is_empty() {
            add(SourceInfo::new(&source.user_name, &source.host, path));
            match parent_path(path) {
                Some(above) => {
                    parent = above;
                    path = &parent;
                }
                None => break,
            }
        }
        // Without a user or a host these name the next level, which is then met twice; kopia
        // shows it twice, too.
        add(SourceInfo::new(&source.user_name, &source.host, ""));
        add(SourceInfo::new("", &source.host, ""));
        add(SourceInfo::global());

        let nothing = Policy::default();
        if levels.first().is_none_or(|(target, _)| target != source) {
            levels.insert(0, (source.clone(), &nothing));
        }
        let (policy, origins) = merge(&levels);
        let hierarchy = levels.into_iter().map(|(target, _)| target).collect();
        EffectivePolicy { policy, origins, hierarchy }
    }

    /// The policies of a source's tree.
    #[must_use]
    pub fn tree(&self, source: &SourceInfo) -> PolicyTree {
        self.tree_with(source, None)
    }

    /// The same, with `instead` in the place of the policy set for the source itself.
    #[must_use]
    pub fn tree_with(&self, source: &SourceInfo, instead: Option<&Policy>) -> PolicyTree {
        let root = PolicyAt {
            target: source.clone(),
            policy: self.effective_with(source, instead).policy,
        };
        let nested = self.policies.iter().filter_map(|stored| {
            let target = &stored.target;
            if (&target.host, &target.user_name) != (&source.host, &source.user_name) {
                return None;
            }
            let path = relative_path(&source.path, &target.path)?;
            Some((path, PolicyAt { target: target.clone(), policy: stored.policy.clone() }))
        });
        PolicyTree::new(root, nested)
    }
}

/// The labels that a policy for this level has.
#[must_use]
pub fn labels(target: &SourceInfo) -> Labels {
    let mut pairs = vec![("type", "policy")];
    if !target.path.is_empty() {
        pairs.extend([
            ("policyType", "path"),
            ("username", &target.user_name),
            ("hostname", &target.host),
            ("path", &target.path),
        ]);
    } else if !target.user_name.is_empty() {
        pairs.extend([
            ("policyType", "user"),
            ("username", &target.user_name),
            ("hostname", &target.host),
        ]);
    } else if !target.host.is_empty() {
        pairs.extend([("policyType", "host"), ("hostname", &target.host)]);
    } else {
        pairs.push(("policyType", "global"));
    }
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The level that labels name.
#[must_use]
pub fn target_of(labels: &Labels) -> SourceInfo {
    let get = |key: &str| labels.get(key).cloned().unwrap_or_default();
    SourceInfo::new(get("username"), get("hostname"), get("path"))
}

fn is_separator(byte: u8) -> bool {
    byte == b'/' || byte == b'\\'
}

/// `X:` of a Windows path, and what follows.
fn split_volume(path: &str) -> (&str, &str) {
    match path.as_bytes() {
        [_, b':', separator, ..] if is_separator(*separator) && path.is_char_boundary(2) => {
            path.split_at(2)
        }
        _ => ("", path),
    }
}

/// The directory above, on whatever system the path belongs to; `None` at the top.
fn parent_path(path: &str) -> Option<String> {
    let (volume, mut rest) = split_volume(path);
    if rest.len() > 1 && rest.bytes().last().is_some_and(is_separator) {
        rest = &rest[..rest.len() - 1];
    }
    let last = rest.rfind(['/', '\\'])?;
    let parent = format!("{volume}{}", &rest[..last.max(1)]);
    (parent != path).then_some(parent)
}

/// Whether a path is the top of its file system.
pub(super) fn is_root(path: &str) -> bool {
    let (volume, rest) = split_volume(path);
    rest == "/" || (!volume.is_empty() && rest == "\\")
}

/// The path of `child` below `parent` with slashes, or `None` if it is not below it.
fn relative_path(parent: &str, child: &str) -> Option<String> {
    let windows = !split_volume(parent).0.is_empty();
    let parent = parent.strip_suffix('/').unwrap_or(parent);
    let parent = parent.strip_suffix('\\').unwrap_or(parent);
    let rest = child.strip_prefix(parent)?;
    let rest = rest.strip_prefix(['/', '\\'])?;
    if rest.is_empty() {
        return None;
    }
    Some(if windows { rest.replace('\\', "/") } else { rest.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_on_every_system() {
        for (path, parent) in [
            ("/a/b", Some("/a")),
            ("/a/b/", Some("/a")),
            ("/a", Some("/")),
            ("/", None),
            ("C:\\a\\b", Some("C:\\a")),
            ("C:\\a", Some("C:\\")),
            ("C:\\", None),
            ("C:/a", Some("C:/")),
            ("\\\\server\\share", Some("\\\\server")),
            ("relative", None),
            ("é:/x", Some("é:")),
        ] {
            assert_eq!(parent_path(path).as_deref(), parent, "{path}");
        }
    }

    #[test]
    fn labels_and_back() {
        for text in ["(global)", "@h", "u@h", "u@h:/p"] {
            let target = SourceInfo::parse(text, "", "", "/").unwrap();
            assert_eq!(target_of(&labels(&target)), target);
        }
        assert_eq!(labels(&SourceInfo::global()).len(), 2);
    }
}
