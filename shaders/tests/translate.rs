//! Every variant is parsed, validated and translated for Vulkan, Metal and Direct3D, with no device.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may fail and tell like tests")]

use naga::back::{hlsl, msl, spv};
use naga::proc::Layouter;
use naga::valid::{Capabilities, ModuleInfo, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess};
use silhak_shaders::{
    Activation, Activations, Binding, CoopTile, Epilogue, Form, Kv, Matrices, Reduce, Shader, Weights,
};

fn variants() -> Vec<Shader> {
    let mut all = vec![Shader::Quantize, Shader::Select, Shader::Rope];
    all.extend([Shader::Candidates, Shader::Choose, Shader::Route, Shader::ExpertSum]);
    all.extend([Shader::HeadSlice, Shader::HeadConcat]);
    all.extend([Shader::Add, Shader::Scale, Shader::SoftCap, Shader::ReadAll]);
    all.extend([Activation::Silu, Activation::GeluTanh].map(|activation| Shader::Gate { activation }));
    for reduce in [Reduce::Tree, Reduce::Subgroups] {
        all.extend([64, 256].map(|threads| Shader::RmsNorm { reduce, threads }));
        all.extend([(64, 1), (256, 3)].map(|(threads, blocks)| Shader::RmsNormQuantized { reduce, threads, blocks }));
    }
    for kv in [Kv::F16, Kv::F32, Kv::Q8_0] {
        all.extend([Shader::KvWrite { kv }, Shader::RopeKv { kv }]);
        // Most queries of a workgroup, of many tokens and of few. The last head is that of latent attention.
        for (queries, of_few, head_pairs) in [(4, 4, 4), (8, 8, 32), (16, 8, 64), (4, 4, 128), (4, 1, 288)] {
            let is_whole_blocks = |quantized: &bool| head_pairs % 16 == 0 || !quantized && kv != Kv::Q8_0;
            for quantized in [false, true].into_iter().filter(is_whole_blocks) {
                all.push(Shader::Decode { kv, queries: of_few, head_pairs, quantized });
                all.push(Shader::Attention { kv, queries, head_pairs, quantized });
                all.push(Shader::Merge { head_pairs, quantized });
            }
        }
    }
    for weights in Weights::ALL {
        all.push(Shader::Embed { weights });
        if weights.is_quantized() {
            let activation = Activation::Silu;
            for (threads, rows, columns) in [(32, 4, 1), (8, 1, 1), (32, 2, 8)] {
                let form = Form { threads, rows };
                all.push(Shader::GatedQuantized { weights, activation, form, columns });
            }
        }
        for activations in [Activations::F32, Activations::Ragged, Activations::A8] {
            if activations == Activations::A8 && !weights.is_quantized() {
                continue;
            }
            for (reduce, threads) in [(Reduce::Tree, 64), (Reduce::Subgroups, 128)] {
                let form = Form { threads, rows: 4 };
                let of = |chosen| Shader::ExpertLinear { chosen, weights, activations, reduce, form };
                all.extend([true, false].map(of));
            }
            for epilogue in EPILOGUES {
                all.push(Shader::Matmul { weights, activations, epilogue });
                all.extend(TILES.map(|tile| Shader::MatmulCoop { weights, activations, epilogue, tile }));
                for (reduce, threads, rows, columns) in [(Reduce::Tree, 64, 4, 1), (Reduce::Subgroups, 128, 4, 8)] {
                    let form = Form { threads, rows };
                    all.push(Shader::Matvec { weights, activations, epilogue, reduce, form, columns });
                }
            }
        }
    }
    all
}

const EPILOGUES: [Epilogue; 6] = [
    Epilogue::Store,
    Epilogue::Bias,
    Epilogue::Add,
    Epilogue::Three,
    Epilogue::Gate(Activation::Silu),
    Epilogue::Gate(Activation::GeluTanh),
];

/// For subgroups of 32 and 8 threads.
const TILES: [CoopTile; 3] = [
    CoopTile { matrices: Matrices::Sixteen, subgroup_size: 32, subgroup_rows: 2, subgroup_columns: 2 },
    CoopTile { matrices: Matrices::Sixteen, subgroup_size: 32, subgroup_rows: 1, subgroup_columns: 1 },
    CoopTile { matrices: Matrices::Eight, subgroup_size: 8, subgroup_rows: 2, subgroup_columns: 2 },
];

fn checked(shader: &Shader) -> (Module, ModuleInfo) {
    let source = shader.source();
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name(), error.emit_to_string(&source)));
    let mut capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    if let Shader::MatmulCoop { .. } = shader {
        capabilities |= Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX;
    }
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    validator.subgroup_operations(SubgroupOperationSet::all());
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    let info = validator
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}: {}", shader.name(), error.emit_to_string(&source)));
    (module, info)
}

#[test]
fn every_variant_is_translated_for_every_api() {
    for shader in variants() {
        let (module, info) = checked(&shader);
        let words = spirv(&shader, &module, &info);
        let multiplies_bytes = shader.source().contains("dot4I8Packed");
        assert_eq!(has_op(&words, OP_S_DOT), multiplies_bytes, "{}: OpSDot", shader.name());
        let is_coop = matches!(shader, Shader::MatmulCoop { .. });
        assert_eq!(has_op(&words, OP_COOPERATIVE_MATRIX_MUL_ADD), is_coop, "{}: matrices", shader.name());
        if is_coop {
            // Direct3D has no such matrices. On Metal, wgpu knows no subgroup size, which the kernel must.
            continue;
        }

        let msl_options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
        let metal = msl::write_string(&module, &info, &msl_options, &msl::PipelineOptions::default());
        assert!(metal.unwrap_or_else(|e| panic!("{}: {e}", shader.name())).0.contains("kernel"));

        let hlsl_options =
            hlsl::Options { shader_model: hlsl::ShaderModel::V6_4, fake_missing_bindings: true, ..Default::default() };
        let pipeline = hlsl::PipelineOptions::default();
        let mut direct = String::new();
        hlsl::Writer::new(&mut direct, &hlsl_options, &pipeline)
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{}: {e}", shader.name()));
        assert!(direct.contains("numthreads"));
    }
}

#[test]
fn the_declared_bindings_are_those_of_the_text() {
    for shader in variants() {
        let (module, _) = checked(&shader);
        let mut found = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = variable.binding.filter(|binding| binding.group == 0) else { continue };
            found.push(match variable.space {
                AddressSpace::Uniform => Binding::Params,
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => {
                    Binding::Write(binding.binding)
                }
                _ => Binding::Read(binding.binding),
            });
        }
        found.sort_by_key(|binding| binding.number());
        assert_eq!(found, shader.bindings(), "{}", shader.name());
    }
}

/// WebGPU guarantees 16 KiB of shared memory to a workgroup. Tiles of cooperative matrices are chosen by what there is.
#[test]
fn shared_memory_stays_within_what_every_device_has() {
    for shader in variants() {
        let (module, _) = checked(&shader);
        let mut layouter = Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, v)| layouter[v.ty].size).sum();
        match shader {
            Shader::MatmulCoop { tile, .. } => assert_eq!(bytes, tile.shared_bytes(), "{}", shader.name()),
            _ => assert!(bytes <= 16 << 10, "{}: {bytes} bytes", shader.name()),
        }
    }
}

fn spirv(shader: &Shader, module: &Module, info: &ModuleInfo) -> Vec<u32> {
    let options = spv::Options { lang_version: (1, 6), fake_missing_bindings: true, ..Default::default() };
    spv::write_vec(module, info, &options, None).unwrap_or_else(|error| panic!("{}: {error}", shader.name()))
}

/// Signed dot product of packed bytes.
const OP_S_DOT: u32 = 4450;

/// Multiplication of cooperative matrices.
const OP_COOPERATIVE_MATRIX_MUL_ADD: u32 = 4459;

fn has_op(words: &[u32], op: u32) -> bool {
    // A header of five words; then each instruction has its length and number in its first word.
    let mut at = 5;
    while let Some(&word) = words.get(at) {
        if word & 0xffff == op {
            return true;
        }
        at += ((word >> 16) as usize).max(1);
    }
    false
}
