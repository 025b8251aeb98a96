const SIZE: u32 = 8u;

alias WeightMatrix = coop_mat8x8<f16, A>;
alias ColumnMatrix = coop_mat8x8<f16, B>;
alias Sum = coop_mat8x8<f32, C>;
