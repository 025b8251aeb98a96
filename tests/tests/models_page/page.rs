//! The pages, in both languages.

use std::fmt::Write as _;

use crate::family::{Family, School, Standing};
use crate::fits::{CARDS, Row};

#[derive(Clone, Copy)]
pub(crate) enum Lang {
    En,
    Ko,
}

impl Lang {
    pub(crate) fn file_name(self) -> &'static str {
        self.of("models.md", "models.ko.md")
    }

    fn of<'a>(self, en: &'a str, ko: &'a str) -> &'a str {
        match self {
            Lang::En => en,
            Lang::Ko => ko,
        }
    }

    fn school(self, school: School) -> &'static str {
        match school {
            School::Yes => self.of("yes", "예"),
            School::Probably => self.of("yes, if the licence is as said", "예, 라이선스가 알려진 대로라면"),
            School::Ask => self.of("ask the maker", "제작사에 문의"),
        }
    }
}

pub(crate) fn text(lang: Lang, families: &[Family], fits: &[Row]) -> String {
    let mut page = String::new();
    page += lang.of(INTRODUCTION_EN, INTRODUCTION_KO);
    overview(&mut page, lang, families);
    page += lang.of(FITS_EN, FITS_KO);
    let cards = CARDS.map(|card| format!(" {card} |")).concat();
    let heads = lang.of("model | parameters | type | GB", "모델 | 매개변수 | 형식 | GB");
    line(&mut page, format_args!("| {heads} |{cards}"));
    line(&mut page, format_args!("|{}", "---|".repeat(4 + CARDS.len())));
    fits.iter().for_each(|row| fit(&mut page, row));
    page += lang.of(FAMILIES_EN, FAMILIES_KO);
    families.iter().for_each(|family| section(&mut page, lang, family));
    page
}

fn overview(page: &mut String, lang: Lang, families: &[Family]) {
    for family in families {
        let Family { name, sizes, architecture, school, .. } = family;
        let (maker, school) = (family.maker.in_(lang), lang.school(*school));
        line(page, format_args!("| [{name}](#{}) | {maker} | {sizes} | `{architecture}` | {school} |", anchor(name)));
    }
}

fn fit(page: &mut String, row: &Row) {
    let context = |context: Option<usize>| match context {
        None => "–".to_owned(),
        Some(n) if n == row.trained => format!("**{}**", thousands(n)),
        Some(n) => thousands(n),
    };
    let contexts = row.contexts.map(context).join(" | ");
    let (billions, gb) = (row.n_parameters as f64 / 1e9, row.file_bytes as f64 / 1e9);
    line(page, format_args!("| {} | {billions:.1} B | {} | {gb:.1} | {contexts} |", row.model, row.mix));
}

fn section(page: &mut String, lang: Lang, family: &Family) {
    line(page, format_args!("\n## {}\n", family.name));
    let repositories: Vec<String> =
        family.weights.iter().map(|name| format!("[{name}](https://huggingface.co/{name})")).collect();
    let weights = lang.of("Weights", "가중치");
    line(page, format_args!("{weights}: {}.\n", repositories.join(", ")));
    let standing = match family.licence.standing {
        Standing::Read => lang.of("Licence", "라이선스"),
        Standing::Said => {
            lang.of("Licence, as the maker or others say; not read by us", "라이선스(알려진 바이며 저희가 읽지 못함)")
        }
    };
    line(page, format_args!("[{standing}]({}): {}\n", family.licence.url, family.licence.text.in_(lang)));
    let fixtures: Vec<String> =
        family.fixtures.iter().map(|name| format!("[`{name}`](../tests/fixtures/{name})")).collect();
    let compared = if family.own_class {
        lang.of("a class written here after the maker's", "제작사의 클래스를 따라 저희가 쓴 클래스")
    } else {
        lang.of("the class in `transformers`", "`transformers`의 클래스")
    };
    match lang {
        Lang::En => line(page, format_args!("Compared with {compared}, by small models: {}.\n", fixtures.join(", "))),
        Lang::Ko => {
            line(page, format_args!("작은 모델로 {compared}와 비교했습니다: {}.\n", fixtures.join(", ")));
        }
    }
    if let Some(note) = &family.note {
        line(page, format_args!("{}\n", note.in_(lang)));
    }
    page.push_str("```sh\n");
    commands(page, family);
    page.push_str("```\n");
}

/// How to get it and run it: from the catalogue, or else from the maker's files.
fn commands(page: &mut String, family: &Family) {
    if let Some(name) = family.pull.last() {
        line(page, format_args!("run-model pull {name}"));
        line(page, format_args!("run-model run {name}"));
        return;
    }
    let folder = family.weights.last().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    if !family.converts {
        line(page, format_args!("run-model run {folder}.gguf"));
        return;
    }
    line(page, format_args!("run-model convert ./{folder} -o {folder}.gguf"));
    line(page, format_args!("run-model quantize {folder}.gguf {folder}-Q4_K_M.gguf --type Q4_K_M"));
    line(page, format_args!("run-model run {folder}-Q4_K_M.gguf"));
}

fn line(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("strings take everything");
}

/// Tokens in thousands of 1024.
fn thousands(n: usize) -> String {
    if n < 10 * 1024 { format!("{:.1}K", n as f64 / 1024.0) } else { format!("{}K", n / 1024) }
}

/// How a heading is linked to: in lower case, spaces as hyphens, without punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

const INTRODUCTION_EN: &str = "\
<!-- Written by `cargo xtask models`; what it says comes from tests/tests/models_page. -->
# Korean models

[한국어](models.ko.md)

What runs, what its licence allows, and what fits where. None of these models could be fetched where Silhak is developed: sizes
are computed from their published shapes, forward passes, conversion and quantizing are compared with the makers' classes by small
models with the same wiring, and what is said of licences is marked where their texts were not read. Read the licence before
you rely on this page; it is no legal advice.

| family | maker | sizes | architecture | may a school use it? |
|---|---|---|---|---|
";

const INTRODUCTION_KO: &str = "\
<!-- `cargo xtask models`가 쓴 글입니다. 내용은 tests/tests/models_page에 있습니다. -->
# 한국어 모델

[English](models.md)

어떤 모델이 실행되고, 라이선스가 무엇을 허락하며, 어디에 무엇이 들어가는지 적었습니다. Silhak을 개발하는 곳에서는 이 모델들을 내려받을 수
없었습니다. 크기는 공개된 구조로 계산했고, 순전파와 변환과 양자화는 구조가 같은 작은 모델로 제작사의 클래스와 비교했으며, 라이선스는 글을 읽지
못한 것을 그렇게 표시했습니다. 쓰기 전에 라이선스를 직접 읽어 보십시오. 이 글은 법률 자문이 아닙니다.

| 계열 | 제작사 | 크기 | 구조 | 학교에서 써도 되나요? |
|---|---|---|---|---|
";

const FITS_EN: &str = "
## What fits on a card

The longest context in tokens (K = 1024) with the whole model on a card of so many GiB, keys and values in half
precision, and 1.5 GiB left to the driver, the screen and a batch. **Bold**: as long as the model was trained for. –: the weights
alone are too large; then some layers run on the CPU (`--gpu-layers`), or all. `run-model fit MODEL` says what fits on the machine
at hand.

";

const FITS_KO: &str = "
## 그래픽 카드에 들어가는 것

모델 전체를 카드에 올렸을 때 가장 긴 문맥입니다(토큰, K = 1024). 열 머리의 숫자는 카드의 메모리(GiB)이고, 키와 값은 반정밀도이며, 드라이버와
화면과 배치에 1.5 GiB를 남겼습니다. **굵은 글씨**: 모델이 학습한 길이 전부. –: 가중치만으로도 너무 커서 일부 또는 모든 층을 CPU에서 실행합니다(`--gpu-layers`).
`run-model fit MODEL`이 지금 쓰는 기기에 무엇이 들어가는지 알려 줍니다.

";

const FAMILIES_EN: &str = "
# Family by family

Where the catalogue has no file, `convert` makes one of a folder with the maker's files, `quantize` a smaller one of that; `--fit
24GB` in the place of `--type` chooses the best that fits.
";

const FAMILIES_KO: &str = "
# 계열별 안내

목록에 파일이 없으면 `convert`가 제작사의 파일이 든 폴더로 하나를 만들고 `quantize`가 그것을 작게 만듭니다. `--type` 대신 `--fit 24GB`라고
쓰면 들어가는 것 가운데 가장 좋은 것을 고릅니다.
";
