# Debian's cross compiler and C library (gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf).
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_ASM_COMPILER riscv64-unknown-elf-gcc)
# An executable would need start-up code and a linker script of its own.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
# Writing _zicsr here would silently choose the 64-bit C library.
set(BT_MACHINE -march=rv32imafc -mabi=ilp32f --specs=picolibc.specs)
