//! `repository throttle`: limits are changed one at a time.

use serde_json::{Value, json};

use crate::errors::run;

#[test]
fn setting_one_limit_keeps_those_of_the_storage() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("r")).unwrap();
    let path = format!("--path={}", home.path().join("r").display());
    let config = home.path().join("c.config");
    let config_file = format!("--config-file={}", config.display());
    let ok = |words: &[&str]| {
        let (code, err) = run(home.path(), "p", &[words, &[&config_file]].concat());
        assert_eq!(code, 0, "{words:?}: {err}");
    };
    let limits = || {
        let text = std::fs::read(&config).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["throttlingLimits"].clone()
    };
    ok(&["repository", "create", "filesystem", &path, "--max-upload-speed=1000000"]);
    assert_eq!(limits(), Value::Null);
    ok(&["repository", "throttle", "set", "--read-requests-per-second=7"]);
    let expected = json!({"readsPerSecond": 7.0, "maxUploadSpeedBytesPerSecond": 1_000_000.0});
    assert_eq!(limits(), expected);
    for wrong in ["inf", "nan", "-inf", "-5"] {
        let flag = format!("--read-requests-per-second={wrong}");
        let line = ["repository", "throttle", "set", &flag, &config_file];
        let (code, err) = run(home.path(), "p", &line);
        assert_eq!(code, 1, "{wrong}");
        assert!(err.contains("must be a number that is not negative"), "{wrong}: {err}");
    }
    assert_eq!(limits(), expected);
    ok(&["repository", "status"]);
}
