//! The built program at a shell: exit codes, one clear line of error, and readers that leave early.
use std::process::{Command, Stdio};

fn pairpost(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pairpost"));
    command.args(words).env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

#[test]
fn wrong_usage_is_two_and_a_failure_one_with_one_line_that_says_what_to_do() {
    let usage = pairpost(&["topic", "shedule"]).output().expect("it runs");
    assert_eq!(usage.status.code(), Some(2));
    let failure = pairpost(&["--config", "/nowhere/pairpost.toml", "inspect", "/dev/null"]).output().expect("it runs");
    assert_eq!(failure.status.code(), Some(1));
    let words = String::from_utf8_lossy(&failure.stderr).into_owned();
    assert!(words.lines().count() == 1 && words.contains("/nowhere/pairpost.toml"), "{words}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut generator = pairpost(&["match", "--generate", "2000", "--seed", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(generator.stdout.take());
    let ended = generator.wait_with_output().expect("it ends");
    assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"), "{}", String::from_utf8_lossy(&ended.stderr));
}
