//! Google: who we are to it, and how its services are asked.
//!
//! * [`identity`]: a service account, a user, a machine at Google, and their tokens;
//! * [`external`]: those for whom somebody else vouches;
//! * [`service`]: requests with such a token, answers in JSON.

mod external;
mod identity;
mod service;

pub(crate) use identity::Identity;
pub(crate) use service::{Service, reason};
