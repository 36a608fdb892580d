//! `server`: work with the API server.

mod planned;

use crate::grammar::Command;

/// `server`
pub(super) static COMMAND: Command =
    Command::new("server", "Work with the API server.").commands(&[
        &planned::START,
        &planned::ACL,
        &planned::USERS,
        &planned::STATUS,
        &planned::REFRESH,
        &planned::FLUSH,
        &planned::SHUTDOWN,
        &planned::SNAPSHOT,
        &planned::CANCEL,
        &planned::PAUSE,
        &planned::RESUME,
        &planned::THROTTLE,
    ]);
