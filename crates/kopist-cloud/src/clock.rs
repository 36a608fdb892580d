use jiff::Timestamp;

/// The time of day, which servers judge signatures, tokens and locks by.
#[allow(clippy::disallowed_methods)] // it decides nothing here that a test could want to move
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
