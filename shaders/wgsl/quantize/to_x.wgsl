fn store_words(i: u32, first: vec4<u32>, last: vec4<u32>, scale: vec2<u32>) {
    x_quants[2u * i] = first;
    x_quants[2u * i + 1u] = last;
    x_scales[i] = scale;
}
