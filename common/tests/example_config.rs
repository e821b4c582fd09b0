//! The example in `deploy/` is a configuration that this version takes.

use std::path::Path;

use semcast_common::config::{Config, KEYS, Overrides};

#[test]
fn the_example_is_accepted_and_complete() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/semcast.example.toml");
    let config = Config::load(Some(&path), [], &Overrides::new()).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.control.key.is_none(), "keys differ from process to process");

    let text = std::fs::read_to_string(&path).expect("it was read a moment ago");
    // What is not set by itself stands there as a comment.
    for key in KEYS {
        let (_, name) = key.parts();
        let named = text
            .lines()
            .any(|line| line.strip_prefix("# ").unwrap_or(line).starts_with(&format!("{name} = ")));
        assert!(named, "the example does not name {}", key.name);
    }
}
