#!/usr/bin/env python3
"""No kernel costs more than tests/gpu/kernel_limits.py allows it, as far as its machine code tells:
no device is needed.

    tests/gpu/kernel_costs_test.py build/gpu/libcairn_gpu_cuda.a [--markdown]

Prints what each costs: registers, spills, instructions of the hot loop by pipe per 64 bytes of
data, and the rate up to which instructions would let an H200 go, whatever its memory does.
Exit status 77: no tools to read machine code with, no code for sm_90, or too much where another
compiler made it than that of the limits.
"""
import argparse
import sys

import kernel_costs
import kernel_limits
import kernel_tools


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kernels", help="the built library of kernels for devices")
    parser.add_argument("--markdown", action="store_true", help="the table for docs/GPU.md")
    options = parser.parse_args()
    try:
        disassembler = kernel_tools.Disassembler()
        release = kernel_tools.nvcc_release(kernel_tools.find("nvcc")["nvcc"])
    except kernel_tools.Missing as missing:
        print(f"skipped: {missing}")
        return 77
    with kernel_tools.scratch() as folder:
        objects = disassembler.objects(options.kernels, folder)
        costs = kernel_costs.measure(disassembler, objects)
    if not all(kernel_costs.MAIN in cost.registers for cost in costs.values()):
        print(f"skipped: no code for sm_{kernel_costs.MAIN} in the library (meson option "
              "gpu_architectures)")
        return 77
    print(kernel_costs.table(costs, options.markdown))
    wrong = kernel_costs.judge(costs) if costs else ["no kernel in the library"]
    print("\n".join(wrong))
    if wrong and release != kernel_limits.CUDA:
        print(f"skipped: limits are for the code of CUDA {kernel_limits.CUDA}, this is {release}")
        return 77
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
