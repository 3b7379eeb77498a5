"""Mistakes at the binaries, and what is said to them."""

from binaries import FIELDS

# id -> (binary, arguments, what the message says). Each runs in a folder with
#   empty/    run/ (the trained one)    unsaved/ (the same without checkpoints)
#   other/ (with a file)    file    small.png    and what SPOILT makes of run/
#   data/ with images: good/    cut/    single/ (one a class)    linked/ (out)
#   texts/: latin/    empty/    npz/: objects/    bomb/

MISTAKES = {
  'no such model': (
    'train',
    ['--model=statistican'],
    ["did you mean 'statistician'"],
  ),
  'no such preset': ('train', ['--preset=papre'], ["did you mean 'paper'"]),
  'no such data set': ('train', ['--dataset=glyph'], ["did you mean 'glyphs'"]),
  'no such field': ('train', ['--config.widht=8'], ['config.width']),
  'no such flag': ('train', ['--workdri=x'], ['workdir']),
  'words for a number': ('train', ['--config.width=wide'], ['wide']),
  'words for steps': ('train', ['--steps=many'], ['many']),
  'no steps': ('train', ['--steps=0'], ['steps must be > 0; got 0']),
  'no such nets': ('train', ['--config.nets=con'], ["did you mean 'conv'"]),
  'vectors that the tokens of a mixer cannot share': (
    'train',
    ['--model=gmn', '--config.match_size=200'],
    ['among 16 tokens with nets=mixer; got 200'],
  ),
  'a proposal that the objective has no use for': (
    'train',
    ['--config.proposal=before', '--config.objective=elbo'],
    ['proposal=upto; got before'],
  ),
  'no such objective': (
    'train',
    ['--config.objective=elbow'],
    ["did you mean 'elbo'"],
  ),
  'an estimator that a model cannot offer': (
    'train',
    ['--model=draw', '--config.objective=iwae'],
    ['got draw', 'use gradient=plain'],
  ),
  'binary observations of reals': (
    'train',
    ['--model=gmn', '--preset=fc', '--dataset=distributions'],
    ['observation=gaussian; got bernoulli', 'distributions'],
  ),
  'an argument': ('train', ['omniglot'], ["got 'omniglot'"]),
  'no data_dir': ('train', ['--dataset=folder'], ['needs --data_dir']),
  'data_dir missing': (
    'train',
    ['--dataset=folder', '--data_dir=missing'],
    ["got 'missing'"],
  ),
  'episode too long': (
    'train',
    ['--config.episode_length=21', '--workdir=empty'],
    ['20 exemplars; got length 21'],
  ),
  'workdir is a file': ('train', ['--workdir=file', *FIELDS], ['file']),
  'workdir of something else': (
    'train',
    ['--workdir=other', *FIELDS],
    ['other'],
  ),
  'workdir of another run': (
    'train',
    ['--workdir=run', 'TRAINING', '--config.width=9', '--seed=1'],
    ['seed was 0, is 1', 'width was 8, is 9'],
  ),
  'no run to start from': (
    'train',
    ['--workdir=next', '--start_from=empty', *FIELDS],
    ['must hold a run', 'empty'],
  ),
  'nothing saved to start from': (
    'train',
    ['--workdir=next', '--start_from=unsaved', 'TRAINING'],
    ['start_from must hold a checkpoint; got unsaved'],
  ),
  'two models to go on from': (
    'train',
    ['--workdir=next', '--start_from=run', '--load=lda-bars', *FIELDS],
    ['give one of --start_from and --load; got both'],
  ),
  'no such model to go on from': (
    'train',
    ['--workdir=next', '--load=lda-bar', *FIELDS],
    ['lda-bar', 'lda-bars'],
  ),
  'another model to go on from': (
    'train',
    ['--workdir=next', '--load=lda-bars', *FIELDS],
    ['the module and the data of --load=lda-bars', 'model was lda'],
  ),
  'a seed of 32 bits and more': (
    'train',
    ['--seed=4294967296'],
    ['seed must be below 2**31; got 4294967296'],
  ),
  'a learning rate that is not a number': (
    'train',
    ['--config.learning_rate=nan'],
    ['learning_rate must be finite; got nan'],
  ),
  'an infinite learning rate': (
    'train',
    ['--config.learning_rate=inf'],
    ['learning_rate must be finite; got inf'],
  ),
  'an average of infinite memory': (
    'train',
    ['--config.ema_decay=1'],
    ['ema_decay must be in [0, 1); got 1.0'],
  ),
  'no objects': (
    'train',
    ['--config.episode_length=0'],
    ['episode_length must be > 0; got 0'],
  ),
  'half an episode': ('train', ['--config.batch_size=0.5'], ["'0.5'"]),
  'no checkpoints': ('train', ['--config.keep=0'], ['keep must be > 0; got 0']),
  'a weight that the objective does not have': (
    'train',
    ['--config.objective=iwae', '--config.kl_warmup=9'],
    ['kl_warmup goes with objective=elbo only', 'objective=iwae'],
  ),
  'sets that grow under the wrong objective': (
    'train',
    ['--config.objective=elbo', '--config.length_warmup=9'],
    ['length_warmup goes with objective=iwae only', 'objective=elbo'],
  ),
  'a split of what has one split': (
    'train',
    ['--dataset=glyphs', '--config.split=weak'],
    ['must stay 30-20', "got 'weak' with glyphs"],
  ),
  'images for a model of words': (
    'train',
    ['--model=lda', '--dataset=glyphs'],
    ['lda models words; got dataset glyphs'],
  ),
  'a layer less than none': (
    'train',
    ['TRAINING', '--config.encoder_depth=-1', '--workdir=empty'],
    ['encoder_depth must be >= 0; got -1'],
  ),
  'more classes than there are': (
    'train',
    ['TRAINING', '--config.max_classes=161', '--workdir=empty'],
    ['max_classes must be <= 160', 'got 161'],
  ),
  'more than the memory': (
    'train',
    ['TRAINING', '--config.batch_size=2000000000', '--workdir=empty'],
    ['must fit into memory'],
  ),
  'one object a class': (
    'train',
    ['TRAINING', '--data_dir=data/single'],
    ['smallest class, 1 exemplars; got length 3'],
  ),
  'an image that is cut': (
    'train',
    ['TRAINING', '--data_dir=data/cut'],
    ['must be an image that can be read', 'cut/1/0.png'],
  ),
  'a link out of the data': (
    'train',
    ['TRAINING', '--data_dir=data/linked'],
    ['links must stay within data/linked', 'linked/2/0.png leads to'],
  ),
  'a text in another encoding': (
    'train',
    ['--model=lda', '--dataset=words', '--data_dir=texts/latin'],
    ['texts must be in UTF-8', 'latin/a.txt'],
  ),
  'a text without words': (
    'train',
    ['--model=lda', '--dataset=words', '--data_dir=texts/empty'],
    ['at least 3 different paragraphs', 'got 0'],
  ),
  'an archive of Python objects': (
    'train',
    ['--dataset=omniglot', '--data_dir=npz/objects'],
    ['without Python objects', 'objects/train_small.npz'],
  ),
  'an archive larger than the memory': (
    'train',
    ['--dataset=omniglot', '--data_dir=npz/bomb'],
    ['at most 1,073,741,824 bytes', 'bomb/train_small.npz'],
  ),
  'a workdir in a file': (
    'train',
    ['TRAINING', '--workdir=file/run'],
    ['must be a folder that can be written', 'file/run'],
  ),
  'a configuration of a newer version': (
    'train',
    ['TRAINING', '--workdir=newer'],
    ['fields of this version', 'got widht'],
  ),
  'evaluate a newer version': (
    'evaluate',
    ['--workdir=newer'],
    ['fields of this version', 'got widht'],
  ),
  'evaluate a configuration that is cut': (
    'evaluate',
    ['--workdir=half'],
    ['config.json must be JSON'],
  ),
  'evaluate a configuration of bytes': (
    'evaluate',
    ['--workdir=bytes'],
    ['bytes/config.json must be a text'],
  ),
  'sample from data unheard of': (
    'sample',
    ['--workdir=unheard'],
    ['data.json must hold', '[1]'],
  ),
  'evaluate on data of other classes': (
    'evaluate',
    ['--workdir=run', '--data_dir=data/good'],
    ['must have the classes of the training'],
  ),
  'evaluate with a million million samples': (
    'evaluate',
    ['--workdir=run', '--num_samples=1000000000000'],
    ['1000000000000'],
  ),
  'evaluate one episode': (
    'evaluate',
    ['--workdir=run', '--episodes=1'],
    ['episodes'],
  ),
  'evaluate a seed below 0': (
    'evaluate',
    ['--workdir=run', '--seed=-1'],
    ['-1'],
  ),
  'sample no rows': ('sample', ['--workdir=run', '--rows=0'], ['rows']),
  'sample less than no shots': (
    'sample',
    ['--workdir=run', '--shots=-1'],
    ['shots'],
  ),
  'sample of more classes than there are': (
    'sample',
    ['--workdir=run', '--growing', '--shots=30', '--classes=30'],
    ['max_classes must be <= 20', 'got 30'],
  ),
  'sample to where no file can be': (
    'sample',
    ['--workdir=run', '--out=file/sheet.png', '--rows=1', '--shots=1'],
    ['file/sheet.png must be a file that can be written'],
  ),
  'fewer steps than done': (
    'train',
    ['--workdir=run', 'TRAINING', '--steps=2'],
    ['steps must be >= 4', 'got 2'],
  ),
  'a run where none may be': (
    'train',
    ['--workdir=run', 'TRAINING', '--noresume'],
    ['--noresume'],
  ),
  'evaluate nothing': ('evaluate', [], ['--workdir']),
  'evaluate a missing folder': ('evaluate', ['--workdir=no'], ['hold a run']),
  'evaluate an empty folder': ('evaluate', ['--workdir=empty'], ['hold a run']),
  'evaluate without checkpoint': (
    'evaluate',
    ['--workdir=unsaved'],
    ['checkpoint'],
  ),
  'no such task': (
    'evaluate',
    ['--workdir=run', '--tasks=likelyhood'],
    ["did you mean 'likelihood'"],
  ),
  'a task for other data': (
    'evaluate',
    ['--workdir=run', '--tasks=activity,probe'],
    ['task probe is for distributions; got folder, of images'],
  ),
  'a model evaluated twice': (
    'evaluate',
    ['--workdir=run,run'],
    ['models must be different; got run,run'],
  ),
  'contexts of a seed beyond 32 bits': (
    'contexts',
    ['--load=statistician-distributions', '--seed=2147483648'],
    ['seed', '2147483648'],
  ),
  'contexts of images': (
    'contexts',
    ['--workdir=run'],
    ['dataset distributions; got folder'],
  ),
  'curves of a missing folder': ('curves', ['--workdir=no'], ['no/metrics']),
  'curves of no such metric': (
    'curves',
    ['--workdir=run', '--metric=bounds'],
    ["did you mean 'bound'"],
  ),
  'curves of nothing': ('curves', ['--workdir='], ['a run; got none']),
  'figures of no models': (
    'reproduce',
    ['--weights=empty'],
    ['weights must be a folder of models; got empty'],
  ),
  'curves of one name': (
    'curves',
    ['--workdir=run,run'],
    ['names of their own; got run twice'],
  ),
  'curves as something else': (
    'curves',
    ['--workdir=run', '--out=curves.svg'],
    ['.png file; got curves.svg'],
  ),
  'summaries of images': (
    'summaries',
    ['--workdir=run'],
    ['points in the plane; got dataset folder'],
  ),
  'no such part': ('evaluate', ['--workdir=run', '--part=tset'], ['tset']),
  'no samples': ('evaluate', ['--workdir=run', '--num_samples=0'], ['0']),
  'evaluate episodes too long': (
    'evaluate',
    ['--workdir=run', '--length=7'],
    ['6 exemplars; got length 7'],
  ),
  'sample from nothing': ('sample', [], ['--workdir and --load; got neither']),
  'sample from two models': (
    'sample',
    ['--workdir=run', '--load=gmn-omniglot'],
    ['--workdir and --load; got both'],
  ),
  'sample from a model that does not come with the package': (
    'sample',
    ['--load=gmn-omniglto'],
    ['a trained model must be one of', "got 'gmn-omniglto'"],
  ),
  'sample from an empty folder': (
    'sample',
    ['--workdir=empty'],
    ['hold a run'],
  ),
  'support missing': (
    'sample',
    ['--workdir=run', '--support=missing.png'],
    ['missing.png'],
  ),
  'support is no image': (
    'sample',
    ['--workdir=run', '--support=file'],
    ['file'],
  ),
  'support of another size': (
    'sample',
    ['--workdir=run', '--support=small.png'],
    ['must be 8x8', 'got 5x5 in small.png'],
  ),
  'more shots than exemplars': (
    'sample',
    ['--workdir=run', '--shots=7'],
    ['6 exemplars; got length 7'],
  ),
  'film of what does not paint': (
    'sample',
    ['--workdir=run', '--film=film.gif'],
    ['paint in steps; got statistician'],
  ),
}


# Only its first step can tell.
BEGUN = {'more than the memory'}
