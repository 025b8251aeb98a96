// Tiles of floats, word-major, so that neighbouring threads read neighbouring places.
var<workgroup> weight_tile: array<array<vec4<f32>, TILE_ROWS>, 8>;
var<workgroup> column_tile: array<array<vec4<f32>, TILE_COLUMNS>, 8>;

fn put_weights(row: u32, weights: Weights) {
    var values = weights;
    for (var w = 0u; w < 8u; w++) {
        weight_tile[w][row] = values[w];
    }
}

fn put_column(column: u32, activations: Column) {
    var values = activations;
    for (var w = 0u; w < 8u; w++) {
        column_tile[w][column] = values[w];
    }
}

fn multiply_tiles(my_row: u32, my_column: u32, sums: ptr<function, Sums>) {
    for (var w = 0u; w < 8u; w++) {
        var columns: array<vec4<f32>, 4>;
        for (var c = 0u; c < 4u; c++) {
            columns[c] = column_tile[w][my_column + 8u * c];
        }
        for (var r = 0u; r < 4u; r++) {
            let weights = weight_tile[w][my_row + 16u * r];
            for (var c = 0u; c < 4u; c++) {
                (*sums)[r][c] += dot(weights, columns[c]);
            }
        }
    }
}
