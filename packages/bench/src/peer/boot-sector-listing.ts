/**
 * The guest that QEMU runs, as an assembler lists it: offset in the sector, bytes, instruction. Whoever
 * changes an instruction assembles it anew (`as --32`); offset and bytes are checked when it is read.
 *
 * It fills all RAM from 64 KiB up, the hole from 640 KiB to 1 MiB apart, says so, and then either
 * sleeps for ever or touches pages: `batch` of them after each tick of a timer of 1000 Hz. The time
 * of each touch is counted in a histogram of 32-bit counters, eight to an octave of the time stamp
 * counter. Interrupts are off but for the sleep between two batches, so that none is measured.
 *
 *     0x7c00  this sector
 *     0x8000  histogram: [8 * (exponent - 2) + the three bits below the leading one]
 *     0x8400  time stamp counter when filling began (u64), and when it had ended (u64)
 *     0x8500  interrupt table, of which only entry 8, the timer's, is filled in
 *     0x9000  stack, downwards
 *     0x10000 to 0xa0000 and 0x100000 to `memory end`: filled, each word with its page's address + 1
 */
export const bootSectorListing = `
                                           ; 16 bits, as the firmware starts it
0000  fa                                   cli
0001  e4 92                                in    al, 0x92
0003  0c 02                                or    al, 2                 ; address line 20 on
0005  e6 92                                out   0x92, al
0007  31 c0                                xor   ax, ax
0009  8e d8                                mov   ds, ax
000b  66 0f 01 16 30 7d                    lgdtd [gdtr]
0011  0f 20 c0                             mov   eax, cr0
0014  0c 01                                or    al, 1                 ; protected mode
0016  0f 22 c0                             mov   cr0, eax
0019  ea 1e 7c 08 00                       jmp   0x08:start
                                           ; 32 bits, flat
001e  66 b8 10 00                   start: mov   ax, 0x10
0022  8e d8                                mov   ds, ax
0024  8e c0                                mov   es, ax
0026  8e d0                                mov   ss, ax
0028  bc 00 90 00 00                       mov   esp, 0x9000
002d  fc                                   cld
002e  31 db                                xor   ebx, ebx              ; state of the page sequence
0030  31 c0                                xor   eax, eax
0032  bf 00 80 00 00                       mov   edi, 0x8000
0037  b9 00 04 00 00                       mov   ecx, 1024
003c  f3 ab                                rep   stosd                 ; empty histogram
003e  b0 46                                mov   al, 'F'
0040  bf 00 84 00 00                       mov   edi, 0x8400
0045  e8 ac 00 00 00                       call  report                ; filling begins
004a  bf 00 00 01 00                       mov   edi, 0x10000
004f  ba 00 00 0a 00                       mov   edx, 0xa0000
0054  e8 a9 00 00 00                       call  fill
0059  bf 00 00 10 00                       mov   edi, 0x100000
005e  8b 15 e8 7d 00 00                    mov   edx, [memory_end]
0064  e8 99 00 00 00                       call  fill
0069  b0 52                                mov   al, 'R'
006b  bf 08 84 00 00                       mov   edi, 0x8408
0070  e8 81 00 00 00                       call  report                ; ready
0075  c7 05 40 85 00 00 11 7d 08 00        mov   dword [0x8540], 0x00080000 + tick
007f  c7 05 44 85 00 00 00 8e 00 00        mov   dword [0x8544], 0x8e00
0089  0f 01 1d 36 7d 00 00                 lidt  [idtr]
0090  b0 ff                                mov   al, 0xff
0092  e6 a1                                out   0xa1, al              ; second controller: none
0094  48                                   dec   eax
0095  e6 21                                out   0x21, al              ; first one: the timer
0097  b0 34                                mov   al, 0x34
0099  e6 43                                out   0x43, al              ; channel 0, again and again,
009b  b0 a9                                mov   al, 0xa9
009d  e6 40                                out   0x40, al              ; every 1193 of its ticks:
009f  b0 04                                mov   al, 0x04
00a1  e6 40                                out   0x40, al              ; 1000 times a second
00a3  8b 2d f8 7d 00 00             round: mov   ebp, [batch]
00a9  85 ed                                test  ebp, ebp
00ab  74 46                                jz    idle
00ad  0f af 1d f0 7d 00 00          touch: imul  ebx, [multiplier]
00b4  03 1d f4 7d 00 00                    add   ebx, [increment]
00ba  89 d8                                mov   eax, ebx
00bc  f7 25 ec 7d 00 00                    mul   dword [page_count]
00c2  89 d7                                mov   edi, edx              ; state * page_count >> 32
00c4  c1 e7 0c                             shl   edi, 12
00c7  81 c7 00 00 10 00                    add   edi, 0x100000
00cd  0f 31                                rdtsc
00cf  89 c6                                mov   esi, eax
00d1  ff 07                                inc   dword [edi]           ; here it may wait for the page
00d3  0f 31                                rdtsc
00d5  29 f0                                sub   eax, esi
00d7  0c 08                                or    al, 8                 ; at least 8
00d9  0f bd c8                             bsr   ecx, eax
00dc  83 e9 03                             sub   ecx, 3
00df  d3 e8                                shr   eax, cl               ; 8 to 15
00e1  8d 04 c8                             lea   eax, [eax + ecx * 8]
00e4  ff 04 85 00 80 00 00                 inc   dword [0x8000 + eax * 4]
00eb  4d                                   dec   ebp
00ec  75 bf                                jnz   touch
00ee  fb                                   sti
00ef  f4                                   hlt                         ; until the next tick
00f0  fa                                   cli
00f1  eb b0                                jmp   round
00f3  f4                             idle: hlt
00f4  eb fd                                jmp   idle
00f6  50                           report: push  eax
00f7  0f 31                                rdtsc
00f9  89 07                                mov   [edi], eax
00fb  89 57 04                             mov   [edi + 4], edx
00fe  58                                   pop   eax
00ff  e6 e9                                out   0xe9, al              ; QEMU's debug console
0101  c3                                   ret
0102  8d 47 01                       fill: lea   eax, [edi + 1]        ; a page at a time
0105  b9 00 04 00 00                       mov   ecx, 1024
010a  f3 ab                                rep   stosd
010c  39 d7                                cmp   edi, edx
010e  72 f2                                jb    fill
0110  c3                                   ret
0111  50                             tick: push  eax
0112  b0 20                                mov   al, 0x20
0114  e6 20                                out   0x20, al              ; end of interrupt
0116  58                                   pop   eax
0117  cf                                   iretd
0118  00 00 00 00 00 00 00 00         gdt: dq    0
0120  ff ff 00 00 00 9a cf 00              dq    0x00cf9a000000ffff    ; 0x08: code, 4 GiB
0128  ff ff 00 00 00 92 cf 00              dq    0x00cf92000000ffff    ; 0x10: data, 4 GiB
0130  17 00                          gdtr: dw    23
0132  18 7d 00 00                          dd    gdt
0136  47 00                          idtr: dw    71
0138  00 85 00 00                          dd    0x8500
`;

/** Where the listing has nothing: what the guest is to do, u32 each, filled in per run. */
export const parameterOffsets = {
  memoryEnd: 0x1e8,
  pageCount: 0x1ec,
  multiplier: 0x1f0,
  increment: 0x1f4,
  batch: 0x1f8,
} as const;

/** Physical addresses of what the guest leaves for us to read. */
export const guestAddresses = { histogram: 0x8000, filling: 0x8400, filled: 0x8408 } as const;
