//! What is lent for a time: keys and tokens, which are renewed before they expire.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;

use crate::settings::Secret;
use crate::site::Site;

/// How long an early renewal that failed is not tried again.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// A thing that holds for a time.
pub(crate) struct Lent<T> {
    pub(crate) thing: T,
    /// None if nobody says.
    pub(crate) until: Option<Timestamp>,
}

impl Lent<Secret> {
    /// A token that was asked for at a time and holds for so many seconds from then, a day at
    /// most. What no header can hold is none.
    pub(crate) fn token(
        token: Secret,
        asked: Timestamp,
        seconds: i64,
        site: &Site,
    ) -> Result<Self, BlobError> {
        if !token.is_sendable() {
            let what = "its token has characters that no token has";
            return Err(site.nonsense(what, Operation::Open, &site.target()));
        }
        let until = asked + SignedDuration::from_secs(seconds.clamp(0, 86_400));
        Ok(Self { thing: token, until: Some(until) })
    }
}

/// The thing that holds now, for any number of threads.
pub(crate) struct Renewed<T> {
    /// It is renewed when it holds for less than this.
    margin: SignedDuration,
    held: Mutex<Option<Held<T>>>,
}

struct Held<T> {
    thing: Arc<T>,
    until: Option<Timestamp>,
    renew_from: Option<Timestamp>,
}

impl<T> Renewed<T> {
    pub(crate) fn new(margin: SignedDuration) -> Self {
        Self { margin, held: Mutex::new(None) }
    }

    /// What holds now; fetched if nothing does, or not for long. What still holds goes on if no
    /// other can be had: who lends it may be away for a while, and that need not concern those
    /// who are asked with it.
    pub(crate) fn get(
        &self,
        fetch: impl FnOnce() -> Result<Lent<T>, BlobError>,
    ) -> Result<Arc<T>, BlobError> {
        self.get_at(crate::clock::now, fetch)
    }

    fn get_at(
        &self,
        now: impl Fn() -> Timestamp,
        fetch: impl FnOnce() -> Result<Lent<T>, BlobError>,
    ) -> Result<Arc<T>, BlobError> {
        // Locked while another is fetched, so that only one thread does it.
        let mut held = self.held.lock();
        if let Some(held) = &*held
            && held.renew_from.is_none_or(|time| time > now())
        {
            return Ok(Arc::clone(&held.thing));
        }
        let error = match fetch() {
            Ok(Lent { thing, until }) => {
                let thing = Arc::new(thing);
                let renew_from = until.map(|until| until.checked_sub(self.margin).unwrap_or(until));
                *held = Some(Held { thing: Arc::clone(&thing), until, renew_from });
                return Ok(thing);
            }
            Err(error) => error,
        };
        match &mut *held {
            Some(held) if held.until.is_none_or(|until| until > now()) => {
                tracing::warn!(%error, "credentials cannot be renewed; the old ones still hold");
                held.renew_from = Some(now() + PAUSE);
                Ok(Arc::clone(&held.thing))
            }
            _ => Err(error),
        }
    }

    /// Forgets what the server no longer takes, so that another is fetched. If another thread
    /// has renewed it in the meantime, nothing is forgotten.
    pub(crate) fn forget(&self, used: &Arc<T>) {
        let mut held = self.held.lock();
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.thing, used)) {
            *held = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn seconds(count: i64) -> SignedDuration {
        SignedDuration::from_secs(count)
    }

    fn renewed() -> Renewed<u32> {
        Renewed::new(seconds(300))
    }

    /// Fetches at a time; none means that the lender is away.
    fn get(renewed: &Renewed<u32>, second: i64, lent: Option<(u32, i64)>) -> Option<Arc<u32>> {
        let fetch = || match lent {
            Some((thing, until)) => Ok(Lent { thing, until: Some(START + seconds(until)) }),
            None => Err(site().invalid("away")),
        };
        renewed.get_at(|| START + seconds(second), fetch).ok()
    }

    #[test]
    fn things_are_renewed_before_they_expire() {
        let renewed = renewed();
        assert_eq!(get(&renewed, 0, Some((1, 3600))).as_deref(), Some(&1));
        assert_eq!(get(&renewed, 3299, Some((2, 7200))).as_deref(), Some(&1));
        assert_eq!(get(&renewed, 3300, Some((2, 7200))).as_deref(), Some(&2));
    }

    #[test]
    fn what_still_holds_goes_on_while_the_lender_is_away() {
        let renewed = renewed();
        assert_eq!(get(&renewed, 0, None), None, "there is nothing to go on with");
        get(&renewed, 0, Some((1, 3600)));
        assert_eq!(get(&renewed, 3300, None).as_deref(), Some(&1));
        assert_eq!(get(&renewed, 3329, Some((2, 7200))).as_deref(), Some(&1), "too soon");
        assert_eq!(get(&renewed, 3330, None).as_deref(), Some(&1));
        assert_eq!(get(&renewed, 3600, None), None, "it has expired");
        assert_eq!(get(&renewed, 3601, Some((2, 7200))).as_deref(), Some(&2));
    }

    #[test]
    fn only_what_was_used_is_forgotten() {
        let renewed = renewed();
        let first = get(&renewed, 0, Some((1, 3600))).unwrap();
        renewed.forget(&first);
        let second = get(&renewed, 0, Some((2, 3600))).unwrap();
        assert_eq!(*second, 2);
        // Somebody else has used the first as well, and hears of it later.
        renewed.forget(&first);
        let third = get(&renewed, 0, Some((3, 3600))).unwrap();
        assert!(Arc::ptr_eq(&second, &third));
    }
}
