//! The interactive chat in a pseudo-terminal, which util-linux's `script` provides.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may fail and tell like tests")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use silhak_tests::tiny::Tiny;
use support::Home;

const BACKSPACE: &str = "\x7f";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A chat with a tiny model.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen has been waited for.
    seen: usize,
}

impl Terminal {
    /// None, with a word on why, where there is no `script`.
    fn start(home: &Home, tiny: &Tiny, options: &str) -> Option<Self> {
        if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
            let required = std::env::var("SILHAK_REQUIRE").unwrap_or_default();
            assert!(!required.split(',').any(|part| part == "script"), "util-linux's script is required and absent");
            println!("SKIPPED: util-linux's script is absent");
            return None;
        }
        let model = home.folder.path().join("tiny.gguf");
        tiny.write(&model).unwrap();
        // Without `exec`, a shell would stay between: it dies of the Ctrl-C that is meant for the answer.
        let command = format!("exec {} run {} {options}", env!("CARGO_BIN_EXE_run-model"), model.display());
        let mut script = Command::new("script");
        home.isolate(&mut script);
        let mut child = script
            .args(["-qec", &command, "/dev/null"])
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Some(Self { child, keys, screen, seen: 0 })
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until something new on the screen has `text`.
    fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            let screen = self.screen.lock().unwrap().clone();
            if let Some(at) = screen[self.seen..].windows(text.len()).position(|part| part == text.as_bytes()) {
                self.seen += at + text.len();
                return;
            }
            let waited = start.elapsed() > Duration::from_secs(60);
            assert!(!waited, "no {text:?} in {:?}", String::from_utf8_lossy(&screen[self.seen..]));
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn leave(mut self, how: &str) {
        self.press(how);
        let status = self.child.wait().unwrap();
        let screen = self.screen.lock().unwrap();
        assert!(status.success(), "{status} after {:?}", String::from_utf8_lossy(&screen));
    }
}

#[test]
fn hangul_is_edited_by_syllables_and_conversations_are_kept() {
    let home = Home::new();
    let Some(mut terminal) = Terminal::start(&home, &Tiny::new("llama"), "--temp 0 --max-tokens 3 --system brief")
    else {
        return;
    };
    let file = home.folder.path().join("chat.json");
    terminal.wait_for(">>> ");
    terminal.press(&format!("안녕핳{BACKSPACE}하{BACKSPACE}{BACKSPACE}녕!\r"));
    terminal.wait_for("(stopped: max-tokens");
    terminal.press("\"\"\"하나\r");
    terminal.wait_for("... ");
    terminal.press("둘\"\"\"\r");
    terminal.wait_for("(stopped: max-tokens");
    terminal.press(&format!("/save {}\r", file.display()));
    terminal.wait_for("Saved the conversation");
    let saved: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let messages = saved["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!((messages[0]["content"].as_str(), roles[0]), (Some("brief"), "system"));
    assert_eq!((messages[1]["content"].as_str(), roles[1]), (Some("안녕!"), "user"));
    let second = messages.iter().find(|message| message["content"] == "하나\n둘");
    assert_eq!(second.unwrap()["role"], "user");

    terminal.press("/clear\r");
    terminal.wait_for("forgotten");
    terminal.press(&format!("/load {}\r", file.display()));
    terminal.wait_for(&format!("Loaded {} messages", messages.len() - 1));
    terminal.press("/set temp 0.5\r");
    terminal.press("/show\r");
    terminal.wait_for("0.5");
    terminal.press("/set think maybe\r");
    terminal.wait_for("give auto, on or off");
    terminal.wait_for(">>> ");
    terminal.press("/set think off\r");
    terminal.wait_for("off");
    terminal.wait_for(">>> ");
    terminal.press("/show\r");
    terminal.wait_for("think              off");
    terminal.press("/nonsense\r");
    terminal.wait_for("is not a command");
    terminal.leave("/bye\r");
}

#[test]
fn ctrl_c_stops_the_answer_and_ctrl_d_leaves() {
    let home = Home::new();
    // Large and slow enough for a context that takes seconds to fill.
    let slow = Tiny { n_embd: 256, n_ff: 768, n_layers: 12, ..Tiny::new("llama") };
    let Some(mut terminal) = Terminal::start(&home, &slow, "--temp 0 --device reference") else { return };
    terminal.wait_for(">>> ");
    terminal.press("go\r");
    terminal.wait_for("\n");
    thread::sleep(Duration::from_millis(100));
    terminal.press(CTRL_C);
    terminal.wait_for("(stopped)");
    terminal.wait_for(">>> ");
    terminal.press(&format!("half a line{CTRL_C}"));
    terminal.wait_for("To leave");
    terminal.wait_for(">>> ");
    terminal.leave(CTRL_D);
}
