//! What `inspect`, `show`, `doctor` and `fit` say.

use super::Lang::{self, En, Ko};
use crate::gpus::{GpuReport, Lack};
use crate::output::bytes;

impl Lang {
    pub(crate) fn file_line(self, version: u32, n_shards: u32, size: u64, alignment: u32) -> String {
        let size = bytes(size);
        match self {
            Ko => format!("GGUF {version}판, 파일 {n_shards}개, {size}, 정렬 {alignment}바이트"),
            En => format!("GGUF version {version}, files: {n_shards}, {size}, alignment {alignment} bytes"),
        }
    }

    pub(crate) fn metadata_head(self, count: usize) -> String {
        match self {
            Ko => format!("메타데이터 ({count}개)"),
            En => format!("METADATA ({count})"),
        }
    }

    pub(crate) fn tensors_head(self, count: usize) -> String {
        match self {
            Ko => format!("텐서 ({count}개)"),
            En => format!("TENSORS ({count})"),
        }
    }

    pub(crate) fn types_head(self) -> &'static str {
        match self {
            Ko => "형식",
            En => "TYPES",
        }
    }

    pub(crate) fn model_heads(self) -> [&'static str; 8] {
        match self {
            Ko => ["모델", "구조", "매개변수", "문맥 (토큰)", "형식", "대화 틀", "권장 설정", "파일에 적힌 이용 허락"],
            En => [
                "model",
                "architecture",
                "parameters",
                "context (tokens)",
                "types",
                "chat template",
                "recommended",
                "licence in the file",
            ],
        }
    }

    pub(crate) fn does_not_run(self) -> &'static str {
        match self {
            Ko => "아직 실행하지 못함",
            En => "does not run yet",
        }
    }

    /// Whether there is a chat template, and whether it is one of Silhak's own.
    pub(crate) fn has_template(self, has: bool, builtin: bool) -> &'static str {
        match (self, has, builtin) {
            (Ko, true, false) => "있음",
            (Ko, true, true) => "내장",
            (Ko, false, _) => "없음",
            (En, true, false) => "yes",
            (En, true, true) => "built in",
            (En, false, _) => "no",
        }
    }

    pub(crate) fn unknown(self) -> &'static str {
        match self {
            Ko => "모름",
            En => "unknown",
        }
    }

    pub(crate) fn doctor_heads(self) -> [&'static str; 8] {
        match self {
            Ko => ["시스템", "CPU", "CPU 기능", "논리 CPU", "메모리", "GPU", "저장소", "실학이 쓸 것"],
            En => ["system", "CPU", "CPU features", "logical CPUs", "memory", "GPU", "store", "Silhak would use"],
        }
    }

    pub(crate) fn memory(self, total: &str, available: &str) -> String {
        match self {
            Ko => format!("{total} 가운데 {available} 사용 가능"),
            En => format!("{available} available of {total}"),
        }
    }

    pub(crate) fn no_gpu(self) -> &'static str {
        match self {
            Ko => "찾지 못함 (Vulkan, Metal, Direct3D 12 드라이버가 있어야 합니다)",
            En => "none was found (a Vulkan, Metal or Direct3D 12 driver makes one usable)",
        }
    }

    pub(crate) fn gpu(self, gpu: &GpuReport, memory: &str) -> String {
        let GpuReport { name, api, driver, .. } = gpu;
        let kind = match (self, gpu.kind) {
            (Ko, "discrete") => "외장",
            (Ko, "integrated") => "내장",
            (Ko, "virtual") => "가상",
            (Ko, "cpu") => "소프트웨어",
            (Ko, _) => "기타",
            (En, "cpu") => "software",
            (En, kind) => kind,
        };
        match self {
            Ko => format!("{name} ({kind}, {api}, {driver}), 메모리 {memory}"),
            En => format!("{name} ({kind}, {api}, {driver}), memory {memory}"),
        }
    }

    /// What the lack costs.
    pub(crate) fn lack(self, lack: Lack, gpu: &GpuReport) -> String {
        let binding = bytes(gpu.max_binding_bytes);
        match (self, lack) {
            (Ko, Lack::Hardware) => {
                "CPU에서 도는 프로그램이라 CPU 커널보다 느립니다. --device gpu라고 할 때만 씁니다.".into()
            }
            (En, Lack::Hardware) => {
                "It is a program on the CPU, slower than the CPU's own kernels; used only with --device gpu.".into()
            }
            (Ko, Lack::Subgroups) => "서브그룹 연산이 없어, 합을 구할 때마다 공유 메모리를 거칩니다.".into(),
            (En, Lack::Subgroups) => {
                "It has no subgroup operations: every sum takes a detour through shared memory.".into()
            }
            (Ko, Lack::LargeBindings) => {
                format!(
                    "커널이 버퍼를 {binding}까지만 볼 수 있어, 큰 가중치는 나누어 읽고 한 층의 키와 값도 그만큼까지입니다."
                )
            }
            (En, Lack::LargeBindings) => format!(
                "Its kernels see {binding} of a buffer: larger weights are read in pieces, and the keys of a layer end there."
            ),
            (Ko, Lack::MemorySize) => {
                "메모리 크기를 알려 주지 않습니다. --gpu-memory 8GiB처럼 한도를 정해 주십시오.".into()
            }
            (En, Lack::MemorySize) => {
                "How much memory it has is not told; set a limit with --gpu-memory, as in --gpu-memory 8GiB.".into()
            }
        }
    }

    pub(crate) fn choice(self, device: &str, isa: &str, isas: &str, threads: usize) -> String {
        match self {
            Ko => format!("장치 {device}, 명령 {isa} ({isas} 가운데), 스레드 {threads}개"),
            En => format!("device {device}, instruction set {isa} (of {isas}), {threads} threads"),
        }
    }

    pub(crate) fn share_heads(self) -> [&'static str; 6] {
        match self {
            Ko => ["장치", "층", "가중치", "키와 값 (KV)", "작업 공간", "합계"],
            En => ["DEVICE", "LAYERS", "WEIGHTS", "KEYS AND VALUES", "SCRATCH", "TOTAL"],
        }
    }

    pub(crate) fn layers(self, first: usize, n: usize) -> String {
        match (self, n) {
            (_, 0) => "-".into(),
            (Ko, _) => format!("{first}~{} ({n}개)", first + n - 1),
            (En, _) => format!("{first} to {} ({n})", first + n - 1),
        }
    }

    pub(crate) fn fit_heads(self) -> [&'static str; 3] {
        match self {
            Ko => ["문맥 (토큰)", "쓸 수 있는 메모리", "쓸 수 있는 GPU 메모리"],
            En => ["context (tokens)", "memory available", "GPU memory to use"],
        }
    }

    pub(crate) fn verdict(self, fits: bool, largest: usize, trained: usize) -> String {
        match (self, fits, largest) {
            (Ko, true, _) => format!("들어갑니다. 문맥은 {largest}토큰까지 늘릴 수 있습니다(학습된 길이 {trained})."),
            (En, true, _) => {
                format!("It fits. The context could be up to {largest} tokens (the model was trained on {trained}).")
            }
            (Ko, false, 0) => {
                "들어가지 않습니다. 문맥을 줄여도 모자라니, 더 작게 양자화한 파일이나 더 작은 모델을 써 주십시오."
                    .into()
            }
            (En, false, 0) => {
                "It does not fit, however short the context; use a smaller quantization or a smaller model.".into()
            }
            (Ko, false, _) => format!("들어가지 않습니다. --ctx {largest}(으)로 문맥을 줄이면 들어갑니다."),
            (En, false, _) => format!("It does not fit; with --ctx {largest} it would."),
        }
    }

    pub(crate) fn memory_unknown(self) -> &'static str {
        match self {
            Ko => "이 컴퓨터의 메모리를 알아내지 못했습니다. --memory 16GB처럼 적어 주십시오.",
            En => "How much memory there is could not be found out; say so with --memory, as in --memory 16GB.",
        }
    }
}
