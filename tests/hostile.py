"""Files that promise or hold what nobody should believe."""

import io
import zipfile

import numpy as np


def promise(shape, dtype='|u1'):
  """An array file that says it has a shape, and has 16 bytes."""
  stream = io.BytesIO()
  header = {'descr': dtype, 'fortran_order': False, 'shape': shape}
  np.lib.format.write_array_header_1_0(stream, header)
  return stream.getvalue() + bytes(16)


def write_npz(path, members):
  """A zip of name -> bytes, the names with the suffix of arrays."""
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in members.items():
      archive.writestr(f'{name}.npy', content)
