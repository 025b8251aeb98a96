//! Finds stop strings in streamed text and holds back what may be the beginning of one.

/// A stop string was empty: it would match before the first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stop string number {index} is empty: give text to stop at, or leave it out")]
pub struct EmptyStopString {
    /// Its place in the list, from 0.
    pub index: usize,
}

/// What [`StopMatcher::push`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopStep<'a> {
    /// Text that is now known to belong to the answer.
    pub text: &'a str,
    /// The place in the list of the stop string that was met, if one was.
    pub stopped: Option<usize>,
}

/// Looks for stop strings in text that arrives in pieces.
///
/// Text is released as soon as it can no longer be the beginning of a stop string. The match that
/// *ends* first wins, as it is the first that can be seen; of several that end together the longest
/// does. The stop string itself and all that follows it are never released. The work is linear in
/// the length of the text, whatever the stop strings are (Aho and Corasick 1975).
///
/// ```
/// let mut matcher = silhak_text::StopMatcher::new(["끝.", "\n\n"])?;
/// assert_eq!(matcher.push("이제 끝").text, "이제 ");
/// let step = matcher.push(". 다음");
/// assert_eq!((step.text, step.stopped), ("", Some(0)));
/// # Ok::<(), silhak_text::EmptyStopString>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopMatcher {
    nodes: Vec<Node>,
    /// The longest beginning of a stop string that the text so far ends in.
    state: usize,
    /// Text not yet released: exactly that beginning, between calls.
    held: String,
    /// The text the last call released.
    piece: String,
    stopped: Option<usize>,
}

/// A beginning of one or more stop strings.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Next byte to node, sorted by byte.
    next: Vec<(u8, usize)>,
    /// The node of the longest proper suffix of this beginning that is itself a beginning.
    fail: usize,
    /// Its length in bytes.
    depth: usize,
    /// The longest stop string this beginning ends in, as (place in the list, length in bytes).
    stop: Option<(usize, usize)>,
}

const ROOT: usize = 0;

impl StopMatcher {
    /// A matcher for these stop strings, at the beginning of a text. No stop strings is allowed:
    /// all text is then released at once.
    ///
    /// # Errors
    /// [`EmptyStopString`] if one of them is empty.
    pub fn new<S: AsRef<str>>(stops: impl IntoIterator<Item = S>) -> Result<Self, EmptyStopString> {
        let mut nodes = vec![Node::default()];
        for (index, stop) in stops.into_iter().enumerate() {
            let stop = stop.as_ref();
            if stop.is_empty() {
                return Err(EmptyStopString { index });
            }
            insert(&mut nodes, stop.as_bytes(), index);
        }
        link(&mut nodes);
        Ok(Self { nodes, state: ROOT, held: String::new(), piece: String::new(), stopped: None })
    }

    /// Takes the next piece of text and returns what can be released.
    ///
    /// After a match every call releases nothing and reports that match again.
    pub fn push(&mut self, text: &str) -> StopStep<'_> {
        self.piece.clear();
        if self.stopped.is_some() {
            return StopStep { text: "", stopped: self.stopped };
        }
        let before = self.held.len();
        self.held.push_str(text);
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            self.state = self.step(byte);
            if let Some((index, length)) = self.nodes[self.state].stop {
                self.stopped = Some(index);
                self.held.truncate(before + at + 1 - length);
                std::mem::swap(&mut self.held, &mut self.piece);
                return StopStep { text: &self.piece, stopped: self.stopped };
            }
        }
        // A stop string begins with a whole character, so its beginning never splits one.
        let keep = self.held.split_off(self.held.len() - self.nodes[self.state].depth);
        self.piece = std::mem::replace(&mut self.held, keep);
        StopStep { text: &self.piece, stopped: None }
    }

    /// Ends the text: releases what was held back, as no stop string can complete any more.
    ///
    /// The matcher is then at the beginning of a new text.
    pub fn finish(&mut self) -> &str {
        self.piece.clear();
        std::mem::swap(&mut self.held, &mut self.piece);
        self.state = ROOT;
        self.stopped = None;
        &self.piece
    }

    fn step(&self, byte: u8) -> usize {
        step(&self.nodes, self.state, byte)
    }
}

fn child(node: &Node, byte: u8) -> Option<usize> {
    node.next.binary_search_by_key(&byte, |&(b, _)| b).ok().map(|at| node.next[at].1)
}

fn insert(nodes: &mut Vec<Node>, stop: &[u8], index: usize) {
    let mut at = ROOT;
    for &byte in stop {
        at = match nodes[at].next.binary_search_by_key(&byte, |&(b, _)| b) {
            Ok(place) => nodes[at].next[place].1,
            Err(place) => {
                let new = nodes.len();
                let depth = nodes[at].depth + 1;
                nodes.push(Node { depth, ..Node::default() });
                nodes[at].next.insert(place, (byte, new));
                new
            }
        };
    }
    // The first of two equal stop strings is the one reported.
    nodes[at].stop.get_or_insert((index, stop.len()));
}

/// Sets `fail` and inherits `stop`, breadth first: a suffix is shorter, so it is already done.
fn link(nodes: &mut [Node]) {
    let mut queue: std::collections::VecDeque<usize> = nodes[ROOT].next.iter().map(|&(_, node)| node).collect();
    while let Some(at) = queue.pop_front() {
        let fail = nodes[at].fail;
        if nodes[at].stop.is_none() {
            nodes[at].stop = nodes[fail].stop;
        }
        for (byte, node) in nodes[at].next.clone() {
            nodes[node].fail = step(nodes, fail, byte);
            queue.push_back(node);
        }
    }
}

fn step(nodes: &[Node], mut state: usize, byte: u8) -> usize {
    loop {
        if let Some(next) = child(&nodes[state], byte) {
            return next;
        }
        if state == ROOT {
            return ROOT;
        }
        state = nodes[state].fail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `pieces` and returns the released text and the match.
    fn feed(stops: &[&str], pieces: &[&str]) -> (String, Option<usize>) {
        let mut matcher = StopMatcher::new(stops).unwrap();
        let mut out = String::new();
        for piece in pieces {
            let step = matcher.push(piece);
            out.push_str(step.text);
            if step.stopped.is_some() {
                return (out, step.stopped);
            }
        }
        out.push_str(matcher.finish());
        (out, None)
    }

    #[test]
    fn a_match_may_span_pieces() {
        assert_eq!(feed(&["<|end|>"], &["답<", "|en", "d|>뒤"]), ("답".into(), Some(0)));
        assert_eq!(feed(&["그만"], &["이제 그", "만 하자"]), ("이제 ".into(), Some(0)));
        assert_eq!(feed(&["그만"], &["그", "그", "만"]), ("그".into(), Some(0)));
    }

    #[test]
    fn text_that_only_looked_like_a_stop_is_released() {
        let mut matcher = StopMatcher::new(["</s>"]).unwrap();
        assert_eq!(matcher.push("a</").text, "a");
        assert_eq!(matcher.push("b>").text, "</b>");
        assert_eq!(matcher.push("<").text, "");
        assert_eq!(matcher.finish(), "<");
    }

    #[test]
    fn the_first_to_end_wins_and_then_the_longest() {
        assert_eq!(feed(&["abcd", "bc"], &["xabcd"]), ("xa".into(), Some(1)));
        assert_eq!(feed(&["b", "ab"], &["xab"]), ("x".into(), Some(1)));
        assert_eq!(feed(&["ab", "ab"], &["ab"]), (String::new(), Some(0)));
    }

    #[test]
    fn after_a_match_nothing_is_released() {
        let mut matcher = StopMatcher::new(["."]).unwrap();
        assert_eq!(matcher.push("가.나"), StopStep { text: "가", stopped: Some(0) });
        assert_eq!(matcher.push("다"), StopStep { text: "", stopped: Some(0) });
        assert_eq!(matcher.finish(), "");
        assert_eq!(matcher.push("라").text, "라");
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        assert_eq!(StopMatcher::new(["a", ""]).unwrap_err(), EmptyStopString { index: 1 });
        assert_eq!(feed(&[], &["가", "나"]), ("가나".into(), None));
    }

    #[test]
    fn long_overlapping_beginnings_take_linear_time() {
        let stop = format!("{}b", "a".repeat(20_000));
        let text = "a".repeat(2_000_000);
        let started = std::time::Instant::now();
        assert_eq!(feed(&[&stop], &[&text]), (text.clone(), None));
        // Restarting the search after each mismatch would take 4 * 10^10 steps.
        assert!(started.elapsed().as_secs() < 5);
    }

    /// The definition: the match that ends first, of these the longest, and of equals the first.
    fn naive(stops: &[&str], text: &str) -> (String, Option<usize>) {
        for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
            let best = (0..stops.len())
                .filter(|&i| text[..end].ends_with(stops[i]))
                .max_by_key(|&i| (stops[i].len(), std::cmp::Reverse(i)));
            if let Some(index) = best {
                return (text[..end - stops[index].len()].to_owned(), Some(index));
            }
        }
        (text.to_owned(), None)
    }

    #[test]
    fn agrees_with_the_definition_on_any_split() {
        const ALPHABET: [&str; 5] = ["a", "b", "가", "각", "\n"];
        let mut seed = 0x9e37_79b9_u64;
        let mut below = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % n
        };
        for _ in 0..20_000 {
            let stops: Vec<String> =
                (0..below(4)).map(|_| (0..=below(4)).map(|_| ALPHABET[below(ALPHABET.len())]).collect()).collect();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let pieces: Vec<String> =
                (0..below(8)).map(|_| (0..below(4)).map(|_| ALPHABET[below(ALPHABET.len())]).collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(feed(&stops, &pieces), naive(&stops, &pieces.concat()), "{stops:?} {pieces:?}");

            // Nothing is held back that could not be the beginning of a stop string.
            let mut matcher = StopMatcher::new(&stops).unwrap();
            for piece in &pieces {
                matcher.push(piece);
                let held = matcher.held.as_str();
                assert!(held.is_empty() || stops.iter().any(|stop| stop.starts_with(held)));
            }
        }
    }
}
