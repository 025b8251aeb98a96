const SIZE: u32 = 16u;

alias WeightMatrix = coop_mat16x16<f16, A>;
alias ColumnMatrix = coop_mat16x16<f16, B>;
alias Sum = coop_mat16x16<f32, C>;
