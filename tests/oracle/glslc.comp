// `cargo xtask oracle --vulkan` compiles this: what llama.cpp's fast kernels ask of glslc.
#version 450
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_EXT_integer_dot_product : require
#extension GL_EXT_bfloat16 : require

layout(local_size_x = 1) in;

void main() {}
