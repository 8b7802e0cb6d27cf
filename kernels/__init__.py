from kernels._threads import get_num_threads, set_num_threads
from kernels.reference.activation import *  # noqa
from kernels.reference.affine import *  # noqa
from kernels.gemm import matmul, matmul_backward, matmul_loops
from kernels.reference.loss import *  # noqa
from kernels.reference.reduction import *  # noqa
from kernels.update import adagrad, adam, adamw, rmsprop, sgd
