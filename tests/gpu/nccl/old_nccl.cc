// A library of NCCL's name that is too old, and lacks functions; with -DCAIRN_NEW_NCCL only the
// latter.
extern "C" {
int ncclGetVersion(int* version);

int ncclGetVersion(int* version) {
#ifdef CAIRN_NEW_NCCL
  *version = 22304;
#else
  *version = 21304;
#endif
  return 0;
}
}
