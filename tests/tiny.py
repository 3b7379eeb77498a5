"""The smallest statistician that the tests train."""

FIELDS = {
  'nets': 'dense',
  'width': 8,
  'encoder_depth': 1,
  'decoder_depth': 1,
  'features': 8,
  'hidden': 8,
  'mlp_depth': 1,
  'c_dim': 4,
  'z_dim': 2,
  'layers': 1,
}
