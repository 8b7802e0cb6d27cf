from kernels.activation.formulas import BACKWARD_FORMULAS, FORMULAS
