//! B2, on a fake of ours.

use kopist_testkit::servers::{B2, B2_KEY, B2_KEY_ID};
use serde_json::{Value, json};

use crate::support::{MANY, conforms, failure, lists_many, make, opens_again};

fn config(server: &B2, prefix: &str) -> Value {
    json!({
        "bucket": "kbucket", "prefix": prefix, "keyID": B2_KEY_ID, "key": B2_KEY,
        "endpoint": server.endpoint,
    })
}

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = B2::start("b2 conformance") else { return };
    conforms("b2", |number| config(&server, &format!("case {number}/ü+")));
    opens_again(&*make("b2", config(&server, "")));
}

#[test]
fn lists_more_than_a_page() {
    let Some(server) = B2::start("b2 listing") else { return };
    lists_many(&*make("b2", config(&server, "many/")), MANY);
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = B2::start("b2 errors") else { return };
    let mut wrong = config(&server, "");
    wrong["key"] = json!("hunter2");
    let text = failure("b2", wrong);
    assert!(text.contains("--key-id and --key") && !text.contains("hunter2"), "{text}");
    let mut wrong = config(&server, "");
    wrong["bucket"] = json!("missing");
    let text = failure("b2", wrong);
    assert!(text.contains("--bucket"), "{text}");
}
