//! A store that fails on purpose, the same way every time.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::pace::{fraction, scramble};
use crate::store::forward;
use crate::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, Capacity, Leftovers, Operation, PutOptions,
    Retention, Target,
};

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens, and the error says that a retry may help.
    Transient,
    /// Nothing happens, and the error says that a retry will not help.
    Permanent,
    /// The store does what was asked, but the caller gets an error that allows a retry, as when
    /// a connection breaks before the answer.
    LostAnswer,
    /// A read claims success with half of the bytes. Only for reads.
    ShortRead,
    /// A read claims success with one bit flipped. Only for reads.
    FlippedBit,
}

/// Which of the calls that a rule is about go wrong. Calls are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Every one.
    Always,
    /// The n-th only.
    Nth(u64),
    /// The first n.
    UpTo(u64),
    /// All after the first n.
    After(u64),
    /// Each with this probability. Depends on the seed, the blob and how often it was asked for,
    /// not on how threads take turns.
    Chance(f64),
}

#[derive(Debug)]
struct Rule {
    operation: Operation,
    prefix: String,
    when: When,
    fault: Fault,
    calls: AtomicU64,
}

/// Fails calls by rules; the first rule that hits decides.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    seed: u64,
    rules: Vec<Rule>,
    calls: Mutex<HashMap<(Operation, Target), u64>>,
    injected: AtomicU64,
}

impl<S: BlobStore> Faulty<S> {
    /// A store without faults so far.
    pub fn new(inner: S, seed: u64) -> Self {
        Self {
            inner,
            seed,
            rules: Vec::new(),
            calls: Mutex::default(),
            injected: AtomicU64::new(0),
        }
    }

    /// Adds a rule about all calls of a kind.
    #[must_use]
    pub fn with(self, operation: Operation, when: When, fault: Fault) -> Self {
        self.with_prefix(operation, "", when, fault)
    }

    /// Adds a rule about the calls of a kind that concern blobs, or list prefixes, starting with
    /// `prefix`.
    #[must_use]
    pub fn with_prefix(
        mut self,
        operation: Operation,
        prefix: &str,
        when: When,
        fault: Fault,
    ) -> Self {
        let prefix = prefix.to_owned();
        self.rules.push(Rule { operation, prefix, when, fault, calls: AtomicU64::new(0) });
        self
    }

    /// How many calls went wrong.
    pub fn injected(&self) -> u64 {
        self.injected.load(Ordering::Relaxed)
    }

    /// The store without faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The fault of this call, if any, and a number that is the same in every run.
    fn decide(&self, operation: Operation, target: &Target) -> Option<(Fault, u64)> {
        let call = {
            let mut calls = self.calls.lock();
            let call = calls.entry((operation, target.clone())).or_default();
            *call += 1;
            *call
        };
        let name = match target {
            Target::Blob(id) => id.as_str(),
            Target::Prefix(prefix) => prefix,
            _ => "",
        };
        for (index, rule) in self.rules.iter().enumerate() {
            if rule.operation != operation || !name.starts_with(&rule.prefix) {
                continue;
            }
            let count = rule.calls.fetch_add(1, Ordering::Relaxed) + 1;
            let chance = self.number(index, operation, name, call);
            let hit = match rule.when {
                When::Always => true,
                When::Nth(n) => count == n,
                When::UpTo(n) => count <= n,
                When::After(n) => count > n,
                When::Chance(probability) => fraction(chance) < probability,
            };
            if hit {
                self.injected.fetch_add(1, Ordering::Relaxed);
                return Some((rule.fault, scramble(chance)));
            }
        }
        None
    }

    fn number(&self, rule: usize, operation: Operation, name: &str, call: u64) -> u64 {
        // FNV: its values, unlike those of the standard hasher, are the same everywhere.
        struct Fnv(u64);
        impl Hasher for Fnv {
            fn finish(&self) -> u64 {
                self.0
            }
            fn write(&mut self, bytes: &[u8]) {
                for byte in bytes {
                    self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
                }
            }
        }
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325 ^ self.seed);
        (rule as u64, operation, name, call).hash(&mut hasher);
        scramble(hasher.finish())
    }

    fn run<T>(
        &self,
        operation: Operation,
        target: &Target,
        call: impl FnOnce() -> Result<T, BlobError>,
    ) -> Result<T, BlobError> {
        let error =
            |retriable| BlobError::Injected { operation, target: target.clone(), retriable };
        match self.decide(operation, target) {
            Some((Fault::Transient, _)) => Err(error(true)),
            Some((Fault::Permanent, _)) => Err(error(false)),
            Some((Fault::LostAnswer, _)) => call().and_then(|_| Err(error(true))),
            Some((Fault::ShortRead | Fault::FlippedBit, _)) | None => call(),
        }
    }
}

impl<S: BlobStore> BlobStore for Faulty<S> {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let target = Target::from(id);
        let error = |retriable| BlobError::Injected {
            operation: Operation::Get,
            target: target.clone(),
            retriable,
        };
        match self.decide(Operation::Get, &target) {
            None => self.inner.get(id, range),
            Some((Fault::Transient | Fault::LostAnswer, _)) => Err(error(true)),
            Some((Fault::Permanent, _)) => Err(error(false)),
            Some((Fault::ShortRead, _)) => {
                let data = self.inner.get(id, range)?;
                Ok(data.slice(..data.len() / 2))
            }
            Some((Fault::FlippedBit, number)) => {
                let mut data = self.inner.get(id, range)?.to_vec();
                let bit = number.checked_rem(data.len() as u64 * 8).unwrap_or_default();
                if let Some(byte) = data.get_mut((bit / 8) as usize) {
                    *byte ^= 1 << (bit % 8);
                }
                Ok(data.into())
            }
        }
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.run(Operation::Metadata, &id.into(), || self.inner.metadata(id))
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        self.run(Operation::Put, &id.into(), || self.inner.put(id, data, options))
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.run(Operation::Delete, &id.into(), || self.inner.delete(id))
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let target = Target::Prefix(prefix.to_owned());
        self.run(Operation::List, &target, || self.inner.list(prefix, visit))
    }

    fn extend_retention(&self, id: &BlobId, retention: &Retention) -> Result<(), BlobError> {
        let call = || self.inner.extend_retention(id, retention);
        self.run(Operation::ExtendRetention, &id.into(), call)
    }

    fn capacity(&self) -> Result<Capacity, BlobError> {
        let target = Target::Store(self.inner.display_name());
        self.run(Operation::Capacity, &target, || self.inner.capacity())
    }

    fn sweep_leftovers(&self, now: Timestamp) -> Result<Leftovers, BlobError> {
        let target = Target::Store(self.inner.display_name());
        self.run(Operation::Sweep, &target, || self.inner.sweep_leftovers(now))
    }

    forward!(self => self.inner; identity, is_read_only);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    fn put(store: &dyn BlobStore, id: &str) -> Result<BlobMeta, BlobError> {
        store.put(&id.into(), &[b"0123456789"], &PutOptions::default())
    }

    #[test]
    fn an_answer_can_get_lost_after_the_work() {
        let store = Faulty::new(MemoryStore::new(), 7).with(
            Operation::Put,
            When::Nth(2),
            Fault::LostAnswer,
        );
        put(&store, "a").unwrap();
        assert!(put(&store, "b").unwrap_err().is_retriable());
        assert_eq!(store.inner().len(), 2);
        assert_eq!(store.injected(), 1);
    }

    #[test]
    fn reads_can_lie() {
        let read = |fault| {
            let store =
                Faulty::new(MemoryStore::new(), 7).with(Operation::Get, When::Nth(1), fault);
            put(&store, "a").unwrap();
            let wrong = store.get(&"a".into(), ByteRange::Full).unwrap();
            assert_eq!(&store.get(&"a".into(), ByteRange::Full).unwrap()[..], b"0123456789");
            wrong
        };
        assert_eq!(&read(Fault::ShortRead)[..], b"01234");
        let flipped = read(Fault::FlippedBit);
        let bits: u32 = flipped.iter().zip(b"0123456789").map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!((flipped.len(), bits), (10, 1));
    }

    #[test]
    fn rules_may_be_about_some_blobs_only() {
        let store = Faulty::new(MemoryStore::new(), 7).with_prefix(
            Operation::Put,
            "x",
            When::After(1),
            Fault::Permanent,
        );
        for (id, works) in [("p1", true), ("x1", true), ("p2", true), ("x2", false), ("x3", false)]
        {
            assert_eq!(put(&store, id).is_ok(), works, "{id}");
        }
    }

    #[test]
    fn chance_is_the_same_in_every_run_and_order() {
        let run = |seed, reverse: bool| {
            let store = Faulty::new(MemoryStore::new(), seed).with(
                Operation::Put,
                When::Chance(0.3),
                Fault::Transient,
            );
            let mut order: Vec<u32> = (0..200).collect();
            if reverse {
                order.reverse();
            }
            let mut failed: Vec<u32> =
                order.into_iter().filter(|n| put(&store, &n.to_string()).is_err()).collect();
            failed.sort_unstable();
            failed
        };
        assert_eq!(run(1, false), run(1, true));
        assert_ne!(run(1, false), run(2, false));
        assert!((40..80).contains(&run(1, false).len()), "{}", run(1, false).len());
    }
}
