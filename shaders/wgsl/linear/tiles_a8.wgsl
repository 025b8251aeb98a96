// Tiles of packed bytes, word-major, so that neighbouring threads read neighbouring places, and their scales.
var<workgroup> weight_tile: array<array<u32, TILE_ROWS>, 8>;
var<workgroup> weight_scales: array<vec4<f32>, TILE_ROWS>; // scale and offset of both halves
var<workgroup> column_tile: array<array<u32, TILE_COLUMNS>, 8>;
var<workgroup> column_scales: array<vec3<f32>, TILE_COLUMNS>; // scale, sums of both halves

fn put_weights(row: u32, weights: Weights) {
    var quants = weights.quants;
    for (var w = 0u; w < 8u; w++) {
        weight_tile[w][row] = quants[w];
    }
    weight_scales[row] = vec4(weights.scale, weights.offset);
}

fn put_column(column: u32, activations: Column) {
    var quants = activations.quants;
    for (var w = 0u; w < 8u; w++) {
        column_tile[w][column] = quants[w];
    }
    column_scales[column] = vec3(activations.d, activations.sums);
}

fn multiply_tiles(my_row: u32, my_column: u32, sums: ptr<function, Sums>) {
    var scales: array<vec3<f32>, 4>;
    for (var c = 0u; c < 4u; c++) {
        scales[c] = column_scales[my_column + 8u * c];
    }
    for (var half = 0u; half < 2u; half++) {
        var integers: array<vec4<i32>, 4>;
        for (var w = 4u * half; w < 4u * half + 4u; w++) {
            var columns: array<u32, 4>;
            for (var c = 0u; c < 4u; c++) {
                columns[c] = column_tile[w][my_column + 8u * c];
            }
            for (var r = 0u; r < 4u; r++) {
                let weights = weight_tile[w][my_row + 16u * r];
                for (var c = 0u; c < 4u; c++) {
                    integers[r][c] += dot4I8Packed(weights, columns[c]);
                }
            }
        }
        for (var r = 0u; r < 4u; r++) {
            let weight = weight_scales[my_row + 16u * r];
            let scale = weight[half];
            let offset = weight[2u + half];
            for (var c = 0u; c < 4u; c++) {
                (*sums)[r][c] += scale * f32(integers[r][c]) * scales[c].x + offset * scales[c][1u + half];
            }
        }
    }
}
