module @activation {
  func.func public @vjp(%arg0: tensor<2x3xf32> loc("x"), %arg1: tensor<2x3xf32> loc("dy")) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<0.7071067811865476> : tensor<2x3xf32> loc(#loc0)
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x3xf32> loc(#loc0)
    %2 = chlo.erf %1 : tensor<2x3xf32> -> tensor<2x3xf32> loc(#loc0)
    %3 = stablehlo.constant dense<1.0> : tensor<2x3xf32> loc(#loc0)
    %4 = stablehlo.add %2, %3 : tensor<2x3xf32> loc(#loc0)
    %5 = stablehlo.constant dense<0.5> : tensor<2x3xf32> loc(#loc0)
    %6 = stablehlo.multiply %4, %5 : tensor<2x3xf32> loc(#loc0)
    %7 = stablehlo.multiply %arg0, %6 : tensor<2x3xf32> loc(#loc0)
    %8 = stablehlo.constant dense<-0.7071067811865476> : tensor<2x3xf32> loc(#loc1)
    %9 = stablehlo.multiply %arg0, %8 : tensor<2x3xf32> loc(#loc1)
    %10 = chlo.erf %9 : tensor<2x3xf32> -> tensor<2x3xf32> loc(#loc1)
    %11 = stablehlo.subtract %3, %10 : tensor<2x3xf32> loc(#loc1)
    %12 = stablehlo.multiply %11, %5 : tensor<2x3xf32> loc(#loc1)
    %13 = stablehlo.multiply %arg0, %arg0 : tensor<2x3xf32> loc(#loc1)
    %14 = stablehlo.constant dense<-0.5> : tensor<2x3xf32> loc(#loc1)
    %15 = stablehlo.multiply %13, %14 : tensor<2x3xf32> loc(#loc1)
    %16 = stablehlo.exponential %15 : tensor<2x3xf32> loc(#loc1)
    %17 = stablehlo.constant dense<0.3989422804014327> : tensor<2x3xf32> loc(#loc1)
    %18 = stablehlo.multiply %16, %17 : tensor<2x3xf32> loc(#loc1)
    %19 = stablehlo.multiply %arg0, %18 : tensor<2x3xf32> loc(#loc1)
    %20 = stablehlo.add %12, %19 : tensor<2x3xf32> loc(#loc1)
    %21 = stablehlo.multiply %arg1, %20 : tensor<2x3xf32> loc(#loc1)
    return %7, %21 : tensor<2x3xf32>, tensor<2x3xf32>
  }
}
#loc0 = loc("activation")
#loc1 = loc("activation (vjp)")
