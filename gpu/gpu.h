// What Cairn does in device memory. Every call below is enqueued on the caller's stream and returns
// at once; none allocates, waits, or copies to the host. Memory is the caller's: a plan tells how
// much of it a call needs, and its image, which is copied up once, serves for as long as tensors
// stay where they are. Errors are values, also those of the device (gpu/device.h).
//
// One step of a training, of which the host sees 16 bytes and a bit for each chunk:
//
//   plan = DigestPlan::make(tiles)                    once; copy_up(plan.image())
//   digest(stream, plan, image, workspace, digests)   BLAKE3 of every chunk
//   find_dirty(..., digests, previous, set)           which of them changed; previous = {} at first
//   copy_down(stream, marks, set.data)                dirty_mark_bytes(tiles) of the set
//   gather(..., set, begin, slab)                     their contents, side by side
//   synchronize(stream); read_dirty(marks, tiles)     which chunk lies where in the slab
//   swap(digests, previous)
//
// tests/gpu/gpu_step.cc is that, whole.
//
// The first call of a kernel in a process may allocate and wait after all: KernelLoading
// (gpu/device.h) takes that beforehand.
//
// The same sources are built for devices (by nvcc) and for the host (gpu/simt), never both into one
// program. Threads: calls may come from any; what they enqueue is ordered by its stream alone.
#pragma once

#include "gpu/chunker_plan.h"    // contents cut where they say: cut(), read_cuts()
#include "gpu/copy_box.h"        // copy_boxes(): transposed tensors, chunks of several boxes
#include "gpu/device.h"          // facts, memory, copies, errors
#include "gpu/digest_plan.h"     // digest()
#include "gpu/dirty.h"           // find_dirty(), read_dirty()
#include "gpu/gather.h"          // gather()
#include "gpu/scatter_plan.h"    // scatter(): a slab's contents into tensors, other dtypes
#include "gpu/tile.h"            // tensors as rows; how much of a device to take
#include "gpu/transform_plan.h"  // encode(), decode(), count_residuals(), find_gradients()
