//! Commands of `notification` that kopia has and this program refuses for now.

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const PROFILE_CONFIGURE_EMAIL_FLAGS: &[Flag] = &[
    Flag::text("profile-name", "Name of the notification profile.").required(),
    Flag::switch("send-test-notification", "Send a test notification."),
    Flag::one_of(
        "min-severity",
        &["report", "warning", "error", "verbose", "success"],
        "Lowest severity to send.",
    ),
    Flag::text("smtp-server", "SMTP server."),
    Flag::int("smtp-port", "Port of the SMTP server."),
    Flag::text("smtp-identity", "SMTP identity."),
    Flag::text("smtp-username", "SMTP user."),
    Flag::text("smtp-password", "SMTP password."),
    Flag::text("mail-from", "Sender address."),
    Flag::text("mail-to", "Recipient addresses."),
    Flag::text("mail-cc", "Copy addresses."),
    Flag::one_of("format", &["html", "txt"], "Format of the message."),
];

/// `notification profile configure email`
pub(super) static PROFILE_CONFIGURE_EMAIL: Command =
    Command::new("email", "Send notifications by mail.").flags(&[PROFILE_CONFIGURE_EMAIL_FLAGS]);

const PROFILE_CONFIGURE_PUSHOVER_FLAGS: &[Flag] = &[
    Flag::text("profile-name", "Name of the notification profile.").required(),
    Flag::switch("send-test-notification", "Send a test notification."),
    Flag::one_of(
        "min-severity",
        &["verbose", "success", "report", "warning", "error"],
        "Lowest severity to send.",
    ),
    Flag::text("app-token", "Pushover application token."),
    Flag::text("user-key", "Pushover user or group key."),
    Flag::one_of("format", &["html", "txt"], "Format of the message."),
];

/// `notification profile configure pushover`
pub(super) static PROFILE_CONFIGURE_PUSHOVER: Command =
    Command::new("pushover", "Send notifications with Pushover.")
        .flags(&[PROFILE_CONFIGURE_PUSHOVER_FLAGS]);

const PROFILE_CONFIGURE_WEBHOOK_FLAGS: &[Flag] = &[
    Flag::text("profile-name", "Name of the notification profile.").required(),
    Flag::switch("send-test-notification", "Send a test notification."),
    Flag::one_of(
        "min-severity",
        &["success", "report", "warning", "error", "verbose"],
        "Lowest severity to send.",
    ),
    Flag::text("endpoint", "URL that receives the message."),
    Flag::one_of("method", &["POST", "PUT"], "HTTP method."),
    Flag::text("http-header", "HTTP header, key:value.").repeated(),
    Flag::one_of("format", &["html", "txt"], "Format of the message."),
];

/// `notification profile configure webhook`
pub(super) static PROFILE_CONFIGURE_WEBHOOK: Command =
    Command::new("webhook", "Send notifications to a URL.")
        .flags(&[PROFILE_CONFIGURE_WEBHOOK_FLAGS]);

const PROFILE_CONFIGURE_TESTSENDER_FLAGS: &[Flag] = &[
    Flag::text("profile-name", "Name of the notification profile.").required(),
    Flag::switch("send-test-notification", "Send a test notification."),
    Flag::one_of(
        "min-severity",
        &["verbose", "success", "report", "warning", "error"],
        "Lowest severity to send.",
    ),
    Flag::one_of("format", &["html", "txt"], "Format of the message."),
];

/// `notification profile configure testsender`
pub(super) static PROFILE_CONFIGURE_TESTSENDER: Command =
    Command::new("testsender", "Keep notifications in memory (tests only).")
        .test_only()
        .flags(&[PROFILE_CONFIGURE_TESTSENDER_FLAGS]);

/// `notification profile configure`
pub(super) static PROFILE_CONFIGURE: Command =
    Command::new("configure", "Configure a notification profile.").aliases(&["setup"]).commands(&[
        &PROFILE_CONFIGURE_EMAIL,
        &PROFILE_CONFIGURE_PUSHOVER,
        &PROFILE_CONFIGURE_WEBHOOK,
        &PROFILE_CONFIGURE_TESTSENDER,
    ]);

const PROFILE_DELETE_FLAGS: &[Flag] =
    &[Flag::text("profile-name", "Name of the notification profile.").required()];

/// `notification profile delete`
pub(super) static PROFILE_DELETE: Command =
    Command::new("delete", "Delete a notification profile.")
        .aliases(&["rm"])
        .flags(&[PROFILE_DELETE_FLAGS]);

const PROFILE_TEST_FLAGS: &[Flag] =
    &[Flag::text("profile-name", "Name of the notification profile.").required()];

/// `notification profile test`
pub(super) static PROFILE_TEST: Command = Command::new("test", "Send a test notification.")
    .aliases(&["send-test-message"])
    .flags(&[PROFILE_TEST_FLAGS]);

const PROFILE_LIST_FLAGS: &[Flag] = &[Flag::switch("raw", "Print plain numbers.")];

/// `notification profile list`
pub(super) static PROFILE_LIST: Command = Command::new("list", "List notification profiles.")
    .aliases(&["ls"])
    .flags(&[PROFILE_LIST_FLAGS, shared::JSON]);

const PROFILE_SHOW_FLAGS: &[Flag] = &[
    Flag::text("profile-name", "Name of the notification profile.").required(),
    Flag::switch("raw", "Print plain numbers."),
];

/// `notification profile show`
pub(super) static PROFILE_SHOW: Command =
    Command::new("show", "Show a notification profile.").flags(&[PROFILE_SHOW_FLAGS, shared::JSON]);

/// `notification profile`
pub(super) static PROFILE: Command = Command::new("profile", "Work with notification profiles.")
    .commands(&[&PROFILE_CONFIGURE, &PROFILE_DELETE, &PROFILE_TEST, &PROFILE_LIST, &PROFILE_SHOW]);

/// `notification template list`
pub(super) static TEMPLATE_LIST: Command =
    Command::new("list", "List notification templates.").flags(&[shared::JSON]);

const TEMPLATE_SET_FLAGS: &[Flag] = &[
    Flag::switch("from-stdin", "Read from standard input."),
    Flag::existing_path("from-file", "Read from this file."),
    Flag::switch("editor", "Edit in the editor."),
];

/// `notification template set`
pub(super) static TEMPLATE_SET: Command = Command::new("set", "Set a notification template.")
    .flags(&[TEMPLATE_SET_FLAGS])
    .args(&[Arg::text("template", "").required()]);

const TEMPLATE_SHOW_FLAGS: &[Flag] = &[
    Flag::one_of("format", &["html", "md"], "Format of the message."),
    Flag::switch("original", "Show the original template."),
    Flag::switch("html", "Show the template as HTML."),
];

/// `notification template show`
pub(super) static TEMPLATE_SHOW: Command = Command::new("show", "Show a notification template.")
    .flags(&[TEMPLATE_SHOW_FLAGS])
    .args(&[Arg::text("template", "").required()]);

/// `notification template remove`
pub(super) static TEMPLATE_REMOVE: Command =
    Command::new("remove", "Remove a notification template.")
        .aliases(&["rm", "delete"])
        .args(&[Arg::text("template", "").required()]);

/// `notification template`
pub(super) static TEMPLATE: Command = Command::new("template", "Work with notification templates.")
    .commands(&[&TEMPLATE_LIST, &TEMPLATE_SET, &TEMPLATE_SHOW, &TEMPLATE_REMOVE]);
