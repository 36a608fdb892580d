//! kopia's verdicts: single patterns against paths, and whole trees.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::policy::{Files, Policy, PolicyAt, PolicyTree};

#[derive(Deserialize)]
struct File {
    paths: Vec<String>,
    matcher: Vec<PatternCase>,
    tree: Vec<TreeCase>,
}

#[derive(Deserialize)]
struct PatternCase {
    p: String,
    #[serde(default)]
    b: String,
    #[serde(default)]
    err: bool,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    neg: bool,
    #[serde(default)]
    m: String,
}

#[derive(Deserialize)]
struct TreeCase {
    name: String,
    policies: BTreeMap<String, Files>,
    tree: Option<Vec<Node>>,
    included: Option<Vec<String>>,
    reported: Option<Vec<String>>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct Node {
    path: String,
    #[serde(default)]
    dir: bool,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    link: String,
    #[serde(default)]
    dev: u64,
}

fn vectors() -> File {
    kopist_testkit::vectors::load("ignore")
}

#[test]
fn every_pattern_against_every_path() {
    let vectors = vectors();
    assert_eq!((vectors.matcher.len(), vectors.paths.len()), (820, 53));
    for case in &vectors.matcher {
        let label = format!("{:?} in {:?}", case.p, case.b);
        let pattern = match Pattern::parse(&case.p, &case.b) {
            Ok(pattern) => pattern,
            Err(error) => {
                assert!(case.err, "{label}: {error}");
                let reason = case.msg.rsplit_once("\": ").unwrap().1;
                assert!(error.to_string().contains(reason), "{label}: {error} / {}", case.msg);
                continue;
            }
        };
        assert!(!case.err, "{label} must not parse: {}", case.msg);
        assert_eq!(pattern.is_negated(), case.neg, "{label}");
        let mut verdicts = String::new();
        for path in &vectors.paths {
            let (text, is_dir) = match path.strip_suffix('/') {
                Some(text) => (text, true),
                None => (path.as_str(), false),
            };
            let path: Vec<char> = text.chars().collect();
            verdicts.push(if pattern.matches(&path, is_dir) { '1' } else { '0' });
        }
        for ((path, ours), kopias) in vectors.paths.iter().zip(verdicts.chars()).zip(case.m.chars())
        {
            assert_eq!(ours, kopias, "{label} against {path:?}: {pattern:?}");
        }
    }
}

/// Walks a made-up tree with the contexts, as the uploader does on disk.
struct Walk<'a> {
    nodes: BTreeMap<&'a str, &'a Node>,
    included: BTreeSet<String>,
    reported: BTreeSet<String>,
}

impl Walk<'_> {
    fn read(&self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        let mut path = path.to_owned();
        let mut followed = false;
        for _ in 0..30 {
            let Some(node) = self.nodes.get(path.as_str()) else {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                return if followed { Err(missing) } else { Ok(None) };
            };
            if node.link.is_empty() {
                return Ok((!node.dir).then(|| node.text.clone().into_bytes()));
            }
            let base = path.rsplit_once('/').map_or("", |(base, _)| base);
            let target = if node.link.starts_with('/') {
                node.link.clone()
            } else {
                format!("{base}/{}", node.link)
            };
            path = crate::source::clean_path(&target)[1..].to_owned();
            followed = true;
        }
        Err(std::io::Error::other("too many links"))
    }

    fn visit(
        &mut self,
        path: &str,
        dev: u64,
        parent: &Context,
        policies: &PolicyTree,
    ) -> Result<(), IgnoreError> {
        let inside =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if policies.effective().files.ignore_cache_dirs.unwrap_or(true) {
            let tag = self.nodes.get(inside("CACHEDIR.TAG").as_str());
            if tag.is_some_and(|tag| {
                !tag.dir && tag.link.is_empty() && is_cache_tag(tag.text.as_bytes())
            }) {
                self.reported.insert(if path.is_empty() {
                    ".".to_owned()
                } else {
                    path.to_owned()
                });
                return Ok(());
            }
        }
        let base = if path.is_empty() { String::new() } else { format!("/{path}") };
        let files = policies.defined().map(|policy| &policy.files);
        let context = parent.enter(&base, files, &mut |name| self.read(&inside(name)))?;
        let children: Vec<&Node> = self
            .nodes
            .values()
            .filter(|node| node.path.rsplit_once('/').map_or("", |(base, _)| base) == path)
            .copied()
            .collect();
        for node in children {
            let mut points = Vec::new();
            code_points(format!("/{}", node.path).as_bytes(), &mut points);
            let size = if node.text.is_empty() { node.size } else { node.text.len() as i64 };
            let verdict = context.judge(Candidate {
                path: &points,
                is_dir: node.dir,
                size: if node.link.is_empty() { size } else { node.link.len() as i64 },
                same_device: node.dev == dev,
            });
            if verdict == Verdict::Ignored {
                self.reported.insert(node.path.clone());
            }
            if verdict != Verdict::Keep {
                continue;
            }
            self.included.insert(if node.dir {
                format!("{}/", node.path)
            } else {
                node.path.clone()
            });
            if node.dir {
                let name = node.path.rsplit('/').next().unwrap();
                self.visit(&node.path, node.dev, &context, &policies.child(name.as_bytes()))?;
            }
        }
        Ok(())
    }
}

#[test]
fn every_tree_of_kopia() {
    let vectors = vectors();
    assert_eq!(vectors.tree.len(), 106);
    for case in &vectors.tree {
        let at = |files: &Files| PolicyAt {
            policy: Policy { files: files.clone(), ..Policy::default() },
            ..PolicyAt::default()
        };
        let root = at(&case.policies["."]);
        let nested = case.policies.iter().filter_map(|(path, files)| {
            path.strip_prefix("./").map(|path| (path.to_owned(), at(files)))
        });
        let policies = PolicyTree::new(root, nested);
        let mut walk = Walk {
            nodes: case.tree.iter().flatten().map(|node| (node.path.as_str(), node)).collect(),
            included: BTreeSet::new(),
            reported: BTreeSet::new(),
        };
        let result = walk.visit("", 0, &Context::default(), &policies);
        assert_eq!(
            result.is_err(),
            !case.error.is_empty(),
            "{}: {result:?} {}",
            case.name,
            case.error
        );
        if result.is_err() {
            continue;
        }
        let included: BTreeSet<String> = case.included.iter().flatten().cloned().collect();
        assert_eq!(walk.included, included, "{}", case.name);
        // kopia also reports what an outer rule ignores and an inner one re-includes.
        let reported: BTreeSet<String> = case.reported.iter().flatten().cloned().collect();
        assert!(walk.reported.is_subset(&reported), "{}: {:?}", case.name, walk.reported);
        for path in reported.difference(&walk.reported) {
            let kept = included.contains(path) || included.contains(&format!("{path}/"));
            assert!(kept, "{}: {path} is reported by kopia only", case.name);
        }
    }
}

proptest! {
    #[test]
    fn any_text_parses_or_errs(pattern in "\\PC{0,12}", base in "(/[a-c]{1,2}){0,2}", path in "(/[a-c*.]{1,3}){1,4}") {
        if let Ok(pattern) = Pattern::parse(&pattern, &base) {
            let path: Vec<char> = path.chars().collect();
            let _ = pattern.matches(&path, true);
        }
    }

    /// The shortcut for `**/name` says what the general matcher says.
    #[test]
    fn the_shortcut_is_only_faster(name in "[a-c.]{1,3}", path in "(/[a-c.]{1,3}){1,4}") {
        let path: Vec<char> = path.chars().collect();
        let plain = Pattern::parse(&name, "").unwrap();
        // A set of one character means the same and has no shortcut.
        let general: String = name.chars().flat_map(|c| ['[', c, ']']).collect();
        let general = Pattern::parse(&general, "").unwrap();
        prop_assert_eq!(plain.matches(&path, false), general.matches(&path, false));
    }

    /// Patterns made of stars end in reasonable time.
    #[test]
    fn stars_do_not_explode(pattern in "[*a]{1,20}b", length in 1usize..60) {
        let pattern = Pattern::parse(&pattern, "").unwrap();
        let path: Vec<char> = std::iter::once('/').chain(std::iter::repeat_n('a', length)).collect();
        prop_assert!(!pattern.matches(&path, false));
    }
}
