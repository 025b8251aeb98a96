//! The forms that were measured before, in a file per adapter and driver.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use silhak_shaders::Form;

use crate::AdapterInfo;

/// Forms by kernel and shape. The file has a line for each: the form, and what it is for.
#[derive(Debug)]
pub(crate) struct KnownForms {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    forms: BTreeMap<String, Form>,
    has_news: bool,
}

impl KnownForms {
    /// What `folder` knows of an adapter: nothing where there is no file, or one that cannot be read.
    pub(crate) fn load(folder: &Path, adapter: &AdapterInfo) -> Self {
        let path = folder.join(file_name(adapter));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let forms = text.lines().filter_map(parse).collect();
        KnownForms { path, state: Mutex::new(State { forms, has_news: false }) }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Form> {
        self.lock().forms.get(key).copied()
    }

    pub(crate) fn add(&self, key: String, form: Form) {
        let mut state = self.lock();
        state.forms.insert(key, form);
        state.has_news = true;
    }

    /// Writes the file, if there is anything new. That it cannot be written is no reason not to run.
    pub(crate) fn save(&self) {
        let mut state = self.lock();
        if state.has_news {
            state.has_news = false;
            if let Err(error) = self.write(&state.forms) {
                tracing::warn!(path = %self.path.display(), %error, "measured kernels are not kept");
            }
        }
    }

    fn write(&self, forms: &BTreeMap<String, Form>) -> io::Result<()> {
        let mut text = String::new();
        for (key, form) in forms {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{form} {key}");
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Another process may read it at this moment.
        let new = self.path.with_extension(format!("{}.new", process::id()));
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of the adapter, its driver or our kernels begins anew.
fn file_name(adapter: &AdapterInfo) -> String {
    let name = format!("{} {} {} {}", adapter.name, adapter.api, adapter.driver, env!("CARGO_PKG_VERSION"));
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("kernels-{}.txt", name.chars().map(safe).collect::<String>())
}

fn parse(line: &str) -> Option<(String, Form)> {
    let (form, key) = line.split_once(' ')?;
    let (threads, rows) = form.split_once('x')?;
    Some((key.to_owned(), Form { threads: threads.parse().ok()?, rows: rows.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(driver: &str) -> AdapterInfo {
        AdapterInfo {
            name: "Card/1".into(),
            kind: "discrete",
            api: "vulkan".into(),
            driver: driver.into(),
            subgroup_sizes: None,
            f16: false,
            cooperative_matrix: None,
            subgroups: true,
            max_binding: 0,
            memory: None,
        }
    }

    #[test]
    fn what_was_measured_is_known_the_next_time_and_with_this_driver_alone() {
        let folder = std::env::temp_dir().join(format!("silhak-known-forms-{}", process::id()));
        let known = KnownForms::load(&folder, &adapter("1.0"));
        assert_eq!(known.get("matvec 5x3"), None);
        known.add("matvec 5x3".into(), Form { threads: 32, rows: 2 });
        known.save();
        let again = KnownForms::load(&folder, &adapter("1.0"));
        assert_eq!(again.get("matvec 5x3"), Some(Form { threads: 32, rows: 2 }));
        assert_eq!(KnownForms::load(&folder, &adapter("1.1")).get("matvec 5x3"), None);
        fs::write(&again.path, "32x2 a b\nnonsense\n\nxx y\n64x b\n8x1 c").unwrap();
        let damaged = KnownForms::load(&folder, &adapter("1.0"));
        assert_eq!(damaged.get("a b"), Some(Form { threads: 32, rows: 2 }));
        assert_eq!(damaged.lock().forms.len(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
