//! What holds for every tokenizer, shown on the tiny ones.

use silhak_text::{Special, TokenType, Tokenizer, TokenizerError, VocabSource};

use crate::golden::{byte_level, sentence_piece};

/// Spellings of structure that files have as user-defined tokens.
const MARKERS: [&str; 5] = ["<｜User｜>", "[|user|]", "<|user|>", "<|channel>", "<channel|>"];

/// A change that makes a vocabulary unusable, and the error it must give.
type Damage = (fn(&mut VocabSource), fn(&TokenizerError) -> bool);

#[test]
fn shared_between_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Tokenizer>();
}

#[test]
fn control_tokens_are_text_unless_asked_for() {
    let tokenizer = Tokenizer::new(byte_level()).unwrap();
    let start = tokenizer.id_of("<|im_start|>").unwrap();
    let text = "<|im_start|>user";
    assert!(!tokenizer.encode(text, Special::Ignore).contains(&start));
    assert_eq!(tokenizer.decode(&tokenizer.encode(text, Special::Ignore)), text);
    let parsed = tokenizer.encode(text, Special::Parse);
    assert_eq!(parsed[0], start);
    assert_eq!(tokenizer.decode(&parsed), "user");
    assert_eq!(tokenizer.token_bytes(start), b"");
    assert_eq!(tokenizer.token_bytes_with_special(start), b"<|im_start|>");
    let text = "가<|im_start|>나 띄어   쓰기";
    assert!(tokenizer.special_tokens_in(text).map(|range| &text[range]).eq(["<|im_start|>"]));
}

#[test]
fn merges_never_make_control_tokens() {
    let mut source = sentence_piece();
    // All of `<`, `/`, `s`, `>` and their joins are pieces now: as letters they must still not become `</s>`.
    for piece in ["<", "/", "s", ">", "</", "s>", "</s"] {
        if !source.tokens.iter().any(|token| token == piece) {
            source.tokens.push(piece.to_owned());
            source.types.push(TokenType::Normal);
            source.scores.push(0.0);
        }
    }
    let tokenizer = Tokenizer::new(source).unwrap();
    let text = "a</s>b<unk>";
    let ids = tokenizer.encode(text, Special::Ignore);
    assert!(ids.iter().all(|&id| tokenizer.token_type(id) != TokenType::Control), "{ids:?}");
    assert_eq!(tokenizer.decode(&ids), text);
    assert!(tokenizer.encode(text, Special::Parse).contains(&2));
}

#[test]
fn user_defined_tokens_are_kept_whole_but_role_markers_are_not() {
    let mut source = byte_level();
    for marker in MARKERS {
        source.tokens.push(marker.to_owned());
        source.types.push(TokenType::UserDefined);
    }
    let tokenizer = Tokenizer::new(source).unwrap();
    let kept = tokenizer.id_of("띄어   쓰기").unwrap();
    assert!(tokenizer.encode("말을 띄어   쓰기", Special::Ignore).contains(&kept));
    for marker in MARKERS {
        assert!(tokenizer.encode(marker, Special::Ignore).len() > 1, "{marker}");
        assert_eq!(tokenizer.encode(marker, Special::Parse), [tokenizer.id_of(marker).unwrap()], "{marker}");
        assert_eq!(tokenizer.special_tokens_in(marker).count(), 1, "{marker}");
    }
}

#[test]
fn the_longest_added_token_wins() {
    let mut source = byte_level();
    for text in ["<a>", "<a><b>"] {
        source.tokens.push(text.to_owned());
        source.types.push(TokenType::UserDefined);
    }
    let n = source.tokens.len() as u32;
    let tokenizer = Tokenizer::new(source).unwrap();
    assert_eq!(tokenizer.encode("<a><b><a>", Special::Ignore), [n - 1, n - 2]);
}

#[test]
fn decomposed_hangul_is_composed_where_the_original_does() {
    let decomposed = "\u{1112}\u{1161}\u{11ab}";
    let tokenizer = Tokenizer::new(byte_level()).unwrap();
    assert_eq!(tokenizer.encode(decomposed, Special::Ignore), tokenizer.encode("한", Special::Ignore));
    let without = Tokenizer::new(VocabSource { pre: Some("exaone4".to_owned()), ..byte_level() }).unwrap();
    assert_eq!(without.decode(&without.encode(decomposed, Special::Ignore)), decomposed);
}

#[test]
fn beginning_and_end_of_sequence() {
    let tokens = |change: fn(&mut VocabSource)| {
        let mut source = sentence_piece();
        change(&mut source);
        let tokenizer = Tokenizer::new(source).unwrap();
        tokenizer.with_bos(tokenizer.encode("가", Special::Parse))
    };
    let tokenizer = Tokenizer::new(sentence_piece()).unwrap();
    let plain = tokenizer.encode("가", Special::Parse);
    assert_eq!(tokens(|_| {}), [&[1], &plain[..]].concat(), "SentencePiece adds BOS unless told otherwise");
    assert_eq!(tokens(|s| s.add_bos = Some(false)), plain);
    let written = tokenizer.encode("<s>가", Special::Parse);
    assert_eq!(tokenizer.with_bos(written.clone()), written, "a BOS that is there is not repeated");
    assert_eq!(tokenizer.with_bos(Vec::new()), [1]);

    let bos_of = |pre: &str| {
        let source = VocabSource { pre: Some(pre.to_owned()), bos: Some(7), ..byte_level() };
        Tokenizer::new(source).unwrap().add_bos()
    };
    assert!(bos_of("llama-bpe") && bos_of("midm-2.0") && !bos_of("qwen2") && !bos_of("exaone4"));
}

#[test]
fn spaces_of_sentence_piece() {
    let tokenizer = |change: fn(&mut VocabSource)| {
        let mut source = sentence_piece();
        change(&mut source);
        Tokenizer::new(source).unwrap()
    };
    let text = "  모든  사람은 ";
    let (prefixed, plain) = (tokenizer(|_| {}), tokenizer(|s| s.add_space_prefix = Some(false)));
    assert_eq!(prefixed.encode(text, Special::Ignore), plain.encode(&format!(" {text}"), Special::Ignore));
    assert_eq!(prefixed.decode(&prefixed.encode(text, Special::Ignore)), text);
    assert_eq!(plain.decode(&plain.encode(text, Special::Ignore)), text);
    let squeezed = tokenizer(|s| s.remove_extra_whitespaces = Some(true));
    assert_eq!(squeezed.decode(&squeezed.encode(text, Special::Ignore)), "모든 사람은");
}

#[test]
fn broken_characters_become_replacements_only_where_they_are_broken() {
    let tokenizer = Tokenizer::new(sentence_piece()).unwrap();
    let ids = tokenizer.encode("가갋", Special::Ignore);
    assert_eq!(tokenizer.token_type(ids[ids.len() - 1]), TokenType::Byte);
    assert_eq!(tokenizer.decode(&ids[..ids.len() - 1]), "가\u{FFFD}");
}

#[test]
fn ids_outside_the_vocabulary_are_harmless() {
    let tokenizer = Tokenizer::new(byte_level()).unwrap();
    let outside = tokenizer.n_vocab() as u32;
    for id in [outside, u32::MAX] {
        assert_eq!(tokenizer.token_text(id), "");
        assert_eq!(tokenizer.token_bytes(id), b"");
        assert_eq!(tokenizer.token_type(id), TokenType::Undefined);
        assert!(!tokenizer.is_end_of_generation(id));
    }
    assert_eq!(tokenizer.decode(&[outside]), "");
}

#[test]
fn ends_of_generation() {
    let ends = |tokens: &[&str], eos: Option<&str>| {
        let mut source = byte_level();
        source.types.retain(|&token_type| token_type == TokenType::Normal);
        source.tokens.truncate(source.types.len());
        for token in tokens {
            source.tokens.push((*token).to_owned());
            source.types.push(TokenType::Control);
        }
        source.eos = eos.map(|text| source.tokens.iter().position(|token| token == text).unwrap() as u32);
        let tokenizer = Tokenizer::new(source).unwrap();
        tokenizer.end_of_generation().iter().map(|&id| tokenizer.token_text(id).to_owned()).collect::<Vec<_>>()
    };
    // Qwen
    let chat_ml = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    assert_eq!(ends(&chat_ml, Some("<|im_end|>")), ["<|endoftext|>", "<|im_end|>"]);
    // EXAONE
    assert_eq!(ends(&["[|system|]", "[|endofturn|]"], Some("[|endofturn|]")), ["[|endofturn|]"]);
    // HyperCLOVA X Think: `<|im_end|>` stands between reasoning and answer
    let hyperclova = ["<|im_start|>", "<|im_end|>", "<|endofturn|>", "<|stop|>"];
    assert_eq!(ends(&hyperclova, Some("<|endofturn|>")), ["<|endofturn|>", "<|stop|>"]);
    // Solar Open and GPT-OSS: `<|end|>` ends a message, not the generation; with Phi it does
    assert_eq!(ends(&["<|end|>", "<|flush|>", "<|calls|>"], None), ["<|flush|>", "<|calls|>"]);
    assert_eq!(ends(&["<|end|>", "<|return|>", "<|call|>"], None), ["<|return|>", "<|call|>"]);
    assert_eq!(ends(&["<|end|>"], None), ["<|end|>"]);
}

#[test]
fn damaged_vocabularies_are_refused() {
    use TokenizerError::*;
    let cases: &[Damage] = &[
        (|s| s.model = "rwkv".to_owned(), |e| matches!(e, UnknownModel { .. })),
        (|s| s.pre = Some("exaone9".to_owned()), |e| matches!(e, UnknownPre { .. })),
        (|s| s.pre = None, |e| matches!(e, MissingList { list: "tokenizer.ggml.pre", .. })),
        (|s| s.merges.clear(), |e| matches!(e, MissingList { list: "tokenizer.ggml.merges", .. })),
        (|s| s.tokens.clear(), |e| matches!(e, VocabularySize(0))),
        (|s| s.tokens.truncate(300), |e| matches!(e, Length { .. })),
        (|s| s.scores = vec![0.0], |e| matches!(e, Length { list: "tokenizer.ggml.scores", .. })),
        (|s| s.scores = vec![f32::NAN; 423], |e| matches!(e, Score { id: 0 })),
        (|s| s.bos = Some(423), |e| matches!(e, IdOutOfRange { id: 423, n_vocab: 423, .. })),
        (|s| s.eot = Some(u32::MAX), |e| matches!(e, IdOutOfRange { .. })),
        (|s| s.add_bos = Some(true), |e| matches!(e, MissingId { .. })),
        (|s| s.tokens[9] = s.tokens[7].clone(), |e| matches!(e, Duplicate { first: 7, second: 9, .. })),
        (|s| s.tokens[0] = "\u{2581}".to_owned(), |e| matches!(e, NoByte { byte: b'!' })),
        (|s| s.types[5] = TokenType::Byte, |e| matches!(e, ByteToken { id: 5, .. })),
        (|s| s.merges[3] = "Ġt".to_owned(), |e| matches!(e, Merge { index: 3, .. })),
        (|s| s.merges[3] = "a ".to_owned(), |e| matches!(e, Merge { index: 3, .. })),
        (|s| s.merges[3] = String::new(), |e| matches!(e, Merge { index: 3, .. })),
        (|s| s.merges[3] = "가 나".to_owned(), |e| matches!(e, Merge { index: 3, .. })),
        (|s| s.merges[3] = "! !".to_owned(), |e| matches!(e, Merge { index: 3, .. })),
    ];
    for (number, (damage, expected)) in cases.iter().enumerate() {
        let mut source = byte_level();
        damage(&mut source);
        let error = Tokenizer::new(source).unwrap_err();
        assert!(expected(&error), "case {number}: {error:?}");
    }
    let mut source = sentence_piece();
    for wrong in ["<0x0a>", "<0x0>", "<0x00A>", "0x0A", "<0xG0>"] {
        source.tokens[13] = wrong.to_owned();
        assert!(matches!(Tokenizer::new(source.clone()), Err(ByteToken { id: 13, .. })), "{wrong}");
    }
    source.tokens.remove(13);
    source.types.remove(13);
    source.scores.remove(13);
    assert!(matches!(Tokenizer::new(source), Err(NoByte { byte: 10 })));
}

#[test]
fn no_damage_makes_it_panic() {
    let mut state = 88172645463325252u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % n
    };
    let text = "모든 사람은 </s><|im_start|> 갋\u{0}\u{10FFFF}  of the  \n\n";
    let mut usable = 0;
    for round in 0..2000 {
        let mut source = if round % 2 == 0 { byte_level() } else { sentence_piece() };
        for _ in 0..=random(3) {
            let (a, b) = (random(source.tokens.len()), random(source.tokens.len()));
            match random(9) {
                0 => source.tokens.swap(a, b),
                1 => source.tokens[a] = format!("{}{}", source.tokens[b], source.tokens[a]),
                2 => source.tokens[a].clear(),
                3 => source.types[a] = TokenType::try_from(random(7) as i32).unwrap(),
                4 if !source.scores.is_empty() => source.scores[a] = [f32::MAX, -0.0, 1e-40, f32::INFINITY][random(4)],
                5 if !source.merges.is_empty() => source.merges.swap(a % 100, b % 100),
                6 => source.unk = Some(random(500) as u32),
                7 => source.model = ["gpt2", "llama", "gemma4"][random(3)].to_owned(),
                _ => source.pre = Tokenizer::pre_names().nth(a % 40).map(str::to_owned),
            }
        }
        let Ok(tokenizer) = Tokenizer::new(source) else { continue };
        usable += 1;
        for special in [Special::Ignore, Special::Parse] {
            tokenizer.decode(&tokenizer.with_bos(tokenizer.encode(text, special)));
        }
    }
    assert!(usable > 200, "only {usable} of 2000 vocabularies were usable");
}

#[test]
fn token_types_of_gguf() {
    let types: Result<Vec<TokenType>, _> = (0..=6).map(TokenType::try_from).collect();
    use TokenType::*;
    assert_eq!(types.unwrap(), [Undefined, Normal, Unknown, Control, UserDefined, Unused, Byte]);
    assert!(TokenType::try_from(7).unwrap_err().to_string().contains('7'));
}
