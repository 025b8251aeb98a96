//! A vocabulary of any metadata is refused, or encodes and decodes any text.
//!
//! The input is a GGUF file with `tokenizer.ggml.*` keys; its array `fuzz.texts` is what to encode.

use silhak_gguf::{Error, Gguf, Metadata};
use silhak_text::{Detokenizer, Special, Tokenizer};

/// Texts of every kind, for files that bring none of their own.
const TEXTS: [&str; 3] =
    ["대한민국의 수도는 서울.\r\n\n  123 ", "It's <s>ok</s> <0x00> e\u{301}", "\u{1112}\u{1161}\u{11ab}🇰🇷"];

/// Reads `bytes` as a vocabulary and uses it; panics on anything that must not be. Where it is refused, gives the name
/// of the error's variant, or `"Gguf"` where there is no vocabulary at all.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let model = Gguf::parse(bytes.to_vec().into()).map_err(|_| "Gguf")?;
    let texts = texts(model.metadata()).map_err(|_| "Gguf")?;
    match silhak::tokenizer(model.metadata(), None) {
        Ok(tokenizer) => texts.iter().for_each(|text| check_text(&tokenizer, text)),
        Err(silhak::Error::Tokenizer(error)) => return Err(variant(&error)),
        Err(_) => return Err("Gguf".into()),
    }
    Ok(())
}

/// The name of an enum's variant.
pub fn variant(error: &impl std::fmt::Debug) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

fn check_text(tokenizer: &Tokenizer, text: &str) {
    for special in [Special::Ignore, Special::Parse] {
        let ids = tokenizer.encode(text, special);
        assert!(ids.iter().all(|&id| (id as usize) < tokenizer.n_vocab()), "{ids:?}");
        let decoded = tokenizer.decode(&ids);

        // Piece by piece it is the same text.
        let mut detokenizer = Detokenizer::new();
        let mut streamed = String::new();
        for &id in &ids {
            streamed += detokenizer.push(tokenizer.token_bytes(id));
        }
        streamed += detokenizer.finish();
        if tokenizer.adds_space_prefix() {
            assert!(streamed == decoded || streamed.strip_prefix(' ') == Some(&decoded), "{streamed:?} {decoded:?}");
        } else {
            assert_eq!(streamed, decoded);
        }
    }
    let with_bos = tokenizer.with_bos(tokenizer.encode(text, Special::Ignore));
    if let (true, Some(bos)) = (tokenizer.add_bos(), tokenizer.bos()) {
        assert_eq!(with_bos.first(), Some(&bos));
    }
}

/// The texts that a file brings, or else our own.
fn texts(metadata: &Metadata) -> Result<Vec<String>, Error> {
    let given = metadata.opt_str_array("fuzz.texts")?;
    let given = given.map_or_else(Vec::new, |texts| texts.iter().map(str::to_owned).collect());
    Ok(if given.is_empty() { TEXTS.map(str::to_owned).to_vec() } else { given })
}
