//! `pull` and `import` killed at random moments: the store stays usable and nothing is half-listed.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::Home;
use support::repository::{Server, gguf_like};

const KILLS: usize = 50;

#[test]
fn killed_pulls_leave_a_usable_store_and_are_resumed() {
    let server = Server::start(gguf_like(2_000_000, 1));
    server.throttle(50_000, Duration::from_millis(5));
    let home = Home::new();
    home.catalogue(&server.catalogue(true, ""));
    let pull = || {
        let mut command = home.command(&["pull", "tiny"]);
        command.env("HF_ENDPOINT", &server.endpoint);
        command
    };
    kill_at_random_moments(&home, pull, "tiny");
    let resumed = server.transfers().iter().filter(|transfer| transfer.range.is_some()).count();
    assert!(resumed >= 10, "only {resumed} of {KILLS} pulls were resumed");
}

#[test]
fn killed_imports_leave_a_usable_store() {
    let home = Home::new();
    let path = home.model("big.gguf", 40_000_000, 2);
    kill_at_random_moments(&home, || home.command(&["import", &path]), "big");
}

/// Kills the command again and again, at moments spread evenly over the time that it takes, then lets it finish.
fn kill_at_random_moments(home: &Home, command: impl Fn() -> Command, model: &str) {
    let start = Instant::now();
    assert!(command().output().unwrap().status.success());
    let whole = start.elapsed();
    home.ok(&["rm", model]);
    let (mut random, mut unfinished) = (0x2545_f491_4f6c_dd1d_u64, 0);
    for round in 0..KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let moment = whole.mul_f64(1.1 * (random >> 11) as f64 / (1u64 << 53) as f64);
        let mut child = command().spawn().unwrap();
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        match home.listed().as_slice() {
            [] => unfinished += 1,
            [only] if only == model => {
                // Whatever is listed is whole; it goes, so that the next round has something to do.
                home.ok(&["verify", model]);
                home.ok(&["rm", model]);
            }
            other => panic!("round {round}, killed after {moment:?}: listed {other:?}"),
        }
    }
    assert!(unfinished >= KILLS / 4, "only {unfinished} of {KILLS} kills came in time");
    let last = command().output().unwrap();
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    home.ok(&["verify", model]);
    assert_eq!(home.files().len(), 2, "debris after the last run: {:?}", home.files());
}
