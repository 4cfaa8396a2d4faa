"""The device's C on the chip's instruction set: the RISC-V image under QEMU."""
