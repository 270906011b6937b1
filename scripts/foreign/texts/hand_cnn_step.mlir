// A train step as it is written by hand: convolutions in NCHW / OIHW, relu, max pooling, a dense layer, softmax and
// cross-entropy, the backward below the forward, plain SGD. A kernel's gradient is a convolution of the transposed
// input by the transposed cotangent. It comes out as [inputs, outputs, 3, 3] and has to be turned to [outputs, inputs,
// 3, 3]. For W1 this step forgets to: both have 3 channels, so the types agree and nothing complains.
module @hand_cnn_step {
  func.func @main(
      %W0: tensor<3x1x3x3xf32>, %b0: tensor<3xf32>, %W1: tensor<3x3x3x3xf32>, %b1: tensor<3xf32>,
      %W2: tensor<27x4xf32>, %b2: tensor<4xf32>, %x_flat: tensor<4x36xf32>, %y: tensor<4xi32>, %lr: tensor<f32>
    ) -> (tensor<3x1x3x3xf32>, tensor<3xf32>, tensor<3x3x3x3xf32>, tensor<3xf32>, tensor<27x4xf32>, tensor<4xf32>,
          tensor<f32>) {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %zeros = stablehlo.constant dense<0.0> : tensor<4x3x6x6xf32>

    // forward
    %x = stablehlo.reshape %x_flat : (tensor<4x36xf32>) -> tensor<4x1x6x6xf32>
    %c0 = stablehlo.convolution(%x, %W0) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1],
      window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
      : (tensor<4x1x6x6xf32>, tensor<3x1x3x3xf32>) -> tensor<4x3x6x6xf32>
    %b0b = stablehlo.broadcast_in_dim %b0, dims = [1] : (tensor<3xf32>) -> tensor<4x3x6x6xf32>
    %a0 = stablehlo.add %c0, %b0b : tensor<4x3x6x6xf32>
    %h0 = stablehlo.maximum %a0, %zeros : tensor<4x3x6x6xf32>
    %c1 = stablehlo.convolution(%h0, %W1) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1],
      window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
      : (tensor<4x3x6x6xf32>, tensor<3x3x3x3xf32>) -> tensor<4x3x6x6xf32>
    %b1b = stablehlo.broadcast_in_dim %b1, dims = [1] : (tensor<3xf32>) -> tensor<4x3x6x6xf32>
    %a1 = stablehlo.add %c1, %b1b : tensor<4x3x6x6xf32>
    %h1 = stablehlo.maximum %a1, %zeros : tensor<4x3x6x6xf32>
    %pool = "stablehlo.reduce_window"(%h1, %lowest) ({
      ^bb0(%p: tensor<f32>, %q: tensor<f32>):
        %m = stablehlo.maximum %p, %q : tensor<f32>
        stablehlo.return %m : tensor<f32>
      }) {window_dimensions = array<i64: 1, 1, 2, 2>, window_strides = array<i64: 1, 1, 2, 2>}
      : (tensor<4x3x6x6xf32>, tensor<f32>) -> tensor<4x3x3x3xf32>
    %flat = stablehlo.reshape %pool : (tensor<4x3x3x3xf32>) -> tensor<4x27xf32>
    %d2 = stablehlo.dot_general %flat, %W2, contracting_dims = [1] x [0] : (tensor<4x27xf32>, tensor<27x4xf32>) -> tensor<4x4xf32>
    %b2b = stablehlo.broadcast_in_dim %b2, dims = [1] : (tensor<4xf32>) -> tensor<4x4xf32>
    %logits = stablehlo.add %d2, %b2b : tensor<4x4xf32>

    // softmax and cross-entropy
    %top = stablehlo.reduce(%logits init: %lowest) applies stablehlo.maximum across dimensions = [1] : (tensor<4x4xf32>, tensor<f32>) -> tensor<4xf32>
    %topb = stablehlo.broadcast_in_dim %top, dims = [0] : (tensor<4xf32>) -> tensor<4x4xf32>
    %shifted = stablehlo.subtract %logits, %topb : tensor<4x4xf32>
    %e = stablehlo.exponential %shifted : tensor<4x4xf32>
    %s = stablehlo.reduce(%e init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<4x4xf32>, tensor<f32>) -> tensor<4xf32>
    %ls = stablehlo.log %s : tensor<4xf32>
    %lsb = stablehlo.broadcast_in_dim %ls, dims = [0] : (tensor<4xf32>) -> tensor<4x4xf32>
    %logp = stablehlo.subtract %shifted, %lsb : tensor<4x4xf32>
    %classes = stablehlo.iota dim = 1 : tensor<4x4xi32>
    %yb = stablehlo.broadcast_in_dim %y, dims = [0] : (tensor<4xi32>) -> tensor<4x4xi32>
    %is = stablehlo.compare EQ, %classes, %yb : (tensor<4x4xi32>, tensor<4x4xi32>) -> tensor<4x4xi1>
    %onehot = stablehlo.convert %is : (tensor<4x4xi1>) -> tensor<4x4xf32>
    %chosen = stablehlo.multiply %logp, %onehot : tensor<4x4xf32>
    %total = stablehlo.reduce(%chosen init: %zero) applies stablehlo.add across dimensions = [0, 1] : (tensor<4x4xf32>, tensor<f32>) -> tensor<f32>
    %n = stablehlo.constant dense<4.0> : tensor<f32>
    %mean = stablehlo.divide %total, %n : tensor<f32>
    %loss = stablehlo.negate %mean : tensor<f32>

    // backward
    %sb = stablehlo.broadcast_in_dim %s, dims = [0] : (tensor<4xf32>) -> tensor<4x4xf32>
    %softmax = stablehlo.divide %e, %sb : tensor<4x4xf32>
    %gap = stablehlo.subtract %softmax, %onehot : tensor<4x4xf32>
    %nb = stablehlo.broadcast_in_dim %n, dims = [] : (tensor<f32>) -> tensor<4x4xf32>
    %dlogits = stablehlo.divide %gap, %nb : tensor<4x4xf32>
    %dW2 = stablehlo.dot_general %flat, %dlogits, contracting_dims = [0] x [0] : (tensor<4x27xf32>, tensor<4x4xf32>) -> tensor<27x4xf32>
    %db2 = stablehlo.reduce(%dlogits init: %zero) applies stablehlo.add across dimensions = [0] : (tensor<4x4xf32>, tensor<f32>) -> tensor<4xf32>
    %dflat = stablehlo.dot_general %dlogits, %W2, contracting_dims = [1] x [1] : (tensor<4x4xf32>, tensor<27x4xf32>) -> tensor<4x27xf32>
    %dpool = stablehlo.reshape %dflat : (tensor<4x27xf32>) -> tensor<4x3x3x3xf32>
    %dh1 = "stablehlo.select_and_scatter"(%h1, %dpool, %zero) ({
      ^bb0(%p: tensor<f32>, %q: tensor<f32>):
        %ge = stablehlo.compare GE, %p, %q : (tensor<f32>, tensor<f32>) -> tensor<i1>
        stablehlo.return %ge : tensor<i1>
      }, {
      ^bb0(%p: tensor<f32>, %q: tensor<f32>):
        %sum = stablehlo.add %p, %q : tensor<f32>
        stablehlo.return %sum : tensor<f32>
      }) {window_dimensions = array<i64: 1, 1, 2, 2>, window_strides = array<i64: 1, 1, 2, 2>}
      : (tensor<4x3x6x6xf32>, tensor<4x3x3x3xf32>, tensor<f32>) -> tensor<4x3x6x6xf32>
    %on1 = stablehlo.compare GT, %a1, %zeros : (tensor<4x3x6x6xf32>, tensor<4x3x6x6xf32>) -> tensor<4x3x6x6xi1>
    %da1 = stablehlo.select %on1, %dh1, %zeros : tensor<4x3x6x6xi1>, tensor<4x3x6x6xf32>
    %h0t = stablehlo.transpose %h0, dims = [1, 0, 2, 3] : (tensor<4x3x6x6xf32>) -> tensor<3x4x6x6xf32>
    %da1t = stablehlo.transpose %da1, dims = [1, 0, 2, 3] : (tensor<4x3x6x6xf32>) -> tensor<3x4x6x6xf32>
    %dW1 = stablehlo.convolution(%h0t, %da1t) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1],
      window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
      : (tensor<3x4x6x6xf32>, tensor<3x4x6x6xf32>) -> tensor<3x3x3x3xf32>
    %db1 = stablehlo.reduce(%da1 init: %zero) applies stablehlo.add across dimensions = [0, 2, 3] : (tensor<4x3x6x6xf32>, tensor<f32>) -> tensor<3xf32>
    %W1t = stablehlo.transpose %W1, dims = [1, 0, 2, 3] : (tensor<3x3x3x3xf32>) -> tensor<3x3x3x3xf32>
    %W1r = stablehlo.reverse %W1t, dims = [2, 3] : tensor<3x3x3x3xf32>
    %dh0 = stablehlo.convolution(%da1, %W1r) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1],
      window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
      : (tensor<4x3x6x6xf32>, tensor<3x3x3x3xf32>) -> tensor<4x3x6x6xf32>
    %on0 = stablehlo.compare GT, %a0, %zeros : (tensor<4x3x6x6xf32>, tensor<4x3x6x6xf32>) -> tensor<4x3x6x6xi1>
    %da0 = stablehlo.select %on0, %dh0, %zeros : tensor<4x3x6x6xi1>, tensor<4x3x6x6xf32>
    %xt = stablehlo.transpose %x, dims = [1, 0, 2, 3] : (tensor<4x1x6x6xf32>) -> tensor<1x4x6x6xf32>
    %da0t = stablehlo.transpose %da0, dims = [1, 0, 2, 3] : (tensor<4x3x6x6xf32>) -> tensor<3x4x6x6xf32>
    %dW0i = stablehlo.convolution(%xt, %da0t) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1],
      window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64}
      : (tensor<1x4x6x6xf32>, tensor<3x4x6x6xf32>) -> tensor<1x3x3x3xf32>
    %dW0 = stablehlo.transpose %dW0i, dims = [1, 0, 2, 3] : (tensor<1x3x3x3xf32>) -> tensor<3x1x3x3xf32>
    %db0 = stablehlo.reduce(%da0 init: %zero) applies stablehlo.add across dimensions = [0, 2, 3] : (tensor<4x3x6x6xf32>, tensor<f32>) -> tensor<3xf32>

    // SGD
    %lr0 = stablehlo.broadcast_in_dim %lr, dims = [] : (tensor<f32>) -> tensor<3x1x3x3xf32>
    %s0 = stablehlo.multiply %lr0, %dW0 : tensor<3x1x3x3xf32>
    %W0n = stablehlo.subtract %W0, %s0 : tensor<3x1x3x3xf32>
    %lr1 = stablehlo.broadcast_in_dim %lr, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %s1 = stablehlo.multiply %lr1, %db0 : tensor<3xf32>
    %b0n = stablehlo.subtract %b0, %s1 : tensor<3xf32>
    %lr2 = stablehlo.broadcast_in_dim %lr, dims = [] : (tensor<f32>) -> tensor<3x3x3x3xf32>
    %s2 = stablehlo.multiply %lr2, %dW1 : tensor<3x3x3x3xf32>
    %W1n = stablehlo.subtract %W1, %s2 : tensor<3x3x3x3xf32>
    %s3 = stablehlo.multiply %lr1, %db1 : tensor<3xf32>
    %b1n = stablehlo.subtract %b1, %s3 : tensor<3xf32>
    %lr4 = stablehlo.broadcast_in_dim %lr, dims = [] : (tensor<f32>) -> tensor<27x4xf32>
    %s4 = stablehlo.multiply %lr4, %dW2 : tensor<27x4xf32>
    %W2n = stablehlo.subtract %W2, %s4 : tensor<27x4xf32>
    %lr5 = stablehlo.broadcast_in_dim %lr, dims = [] : (tensor<f32>) -> tensor<4xf32>
    %s5 = stablehlo.multiply %lr5, %db2 : tensor<4xf32>
    %b2n = stablehlo.subtract %b2, %s5 : tensor<4xf32>
    return %W0n, %b0n, %W1n, %b1n, %W2n, %b2n, %loss
      : tensor<3x1x3x3xf32>, tensor<3xf32>, tensor<3x3x3x3xf32>, tensor<3xf32>, tensor<27x4xf32>, tensor<4xf32>, tensor<f32>
  }
}
