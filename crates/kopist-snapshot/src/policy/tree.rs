//! Which policy is in effect in each directory of a source.
//!
//! The root has the merged, effective policy. Below it, a policy stored for a path applies as it
//! is stored, **not** merged with anything: what it leaves unset is unset, so a nested policy
//! that only adds an ignore rule turns compression off in its directory. That is what kopia does
//! (`kopia:snapshot/policy/policy_tree.go`), and other behaviour would store different
//! directories than kopia for the same tree.

use std::collections::HashMap;
use std::sync::Arc;

use super::defaults::built_in;
use super::model::Policy;
use crate::SourceInfo;

/// A policy and the level it was set for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyAt {
    /// The level.
    pub target: SourceInfo,
    /// The policy.
    pub policy: Policy,
}

/// The policies of one directory and everything below it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PolicyTree {
    policy: Arc<PolicyAt>,
    defined: bool,
    children: Option<Arc<HashMap<Box<[u8]>, PolicyTree>>>,
}

impl PolicyTree {
    /// A tree where nothing is defined: the built-in policy everywhere.
    #[must_use]
    pub fn built_in() -> Self {
        let policy = PolicyAt { target: SourceInfo::global(), policy: built_in() };
        Self { policy: Arc::new(policy), defined: false, children: None }
    }

    /// A tree with `root` at its top and `nested` policies at relative paths such as `a/b`.
    /// Of several policies for one path the last one counts.
    #[must_use]
    pub fn new(root: PolicyAt, nested: impl IntoIterator<Item = (String, PolicyAt)>) -> Self {
        let mut top = Branch { policy: Some(Arc::new(root)), ..Branch::default() };
        for (path, policy) in nested {
            let mut branch = &mut top;
            for name in path.split('/') {
                branch = branch.children.entry(name.as_bytes().into()).or_default();
            }
            branch.policy = Some(Arc::new(policy));
        }
        let unused = Arc::new(PolicyAt::default());
        top.finish(&unused)
    }

    /// The policy in effect here.
    #[must_use]
    pub fn effective(&self) -> &Policy {
        &self.policy.policy
    }

    /// The policy in effect here with its level.
    #[must_use]
    pub fn source(&self) -> &PolicyAt {
        &self.policy
    }

    /// The policy, if it was set for exactly this place.
    #[must_use]
    pub fn defined(&self) -> Option<&Policy> {
        self.defined.then_some(&self.policy.policy)
    }

    /// The tree of an entry with this name.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        if let Some(child) = self.children.as_ref().and_then(|children| children.get(name)) {
            return child.clone();
        }
        Self { policy: self.policy.clone(), defined: false, children: None }
    }

    /// Whether an entry of this name may have another policy than this one.
    #[must_use]
    pub fn has_own_policy(&self, name: &[u8]) -> bool {
        self.children.as_ref().is_some_and(|children| children.contains_key(name))
    }
}

#[derive(Default)]
struct Branch {
    policy: Option<Arc<PolicyAt>>,
    children: HashMap<Box<[u8]>, Branch>,
}

impl Branch {
    fn finish(self, inherited: &Arc<PolicyAt>) -> PolicyTree {
        let defined = self.policy.is_some();
        let policy = self.policy.unwrap_or_else(|| inherited.clone());
        let children: HashMap<_, _> =
            self.children.into_iter().map(|(name, child)| (name, child.finish(&policy))).collect();
        let children = (!children.is_empty()).then(|| Arc::new(children));
        PolicyTree { policy, defined, children }
    }
}
