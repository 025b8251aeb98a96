fn store_words(i: u32, first: vec4<u32>, last: vec4<u32>, scale: vec2<u32>) {
    y_quants[2u * i] = first;
    y_quants[2u * i + 1u] = last;
    y_scales[i] = scale;
}
