"""A rig file with everything in it, to begin with."""

EXAMPLE_RIG = """\
# What this rig records. `ethostore rig check FILE` says what is wrong with it, or what it will record.

name: my run                      # of the run
folder: recordings                # where stores lie; relative to this file
stores: "{run}_{date}_{time}/{camera}"   # path of each store; or {run}/{camera}, which can be recorded once

cameras:                          # a name for each, and its source as `ethostore cameras` lists it
  front:
    source: simulated
    rate: 25                      # frames per second
    # size: 1280x960              # columns x rows; without it the camera's own
    # colour: yes                 # else grey
    # options: {exposure: 8}      # what this kind of camera knows: ethostore cameras opencv --options
    # crop: [100, 50, 640, 480]   # x, y, width, height of what is kept, in pixels
    # split: left/right           # two views side by side, a store for each: front-left, front-right
    # pre_trigger_s: 5            # keep these seconds from before saving begins, too
    # allow_lost: 0               # exit code 3 if more frames than this are lost; yes: any number
  # top: opencv:0                 # in short: a source alone

defaults:                         # for all cameras that do not say otherwise
  format: h264/mkv                # see `ethostore record --help`
  settings: balanced              # fast, balanced, small or lossless
  chunk_s: 300                    # seconds per chunk; or chunksize: 10000, frames per chunk
  queue: 256 MB                   # of frames that may wait to be written; or how many frames: 64
  feed: off                       # on: others see frames live, by the camera's name; or another name

limits:                           # the recording is complete when the first is reached; without any: Ctrl-C
  seconds: 72:00:00               # or a number of seconds
  # frames: 100000                # of every camera
  # size: 500 GB                  # of all stores together
  # until: 2026-12-24 08:00       # local; or a time of day: 08:00, the next there is

# schedule:
#   start: 2026-12-01 20:00       # not before this
#   daily: 20:00-08:00            # every day, only in this window
#   zone: Europe/Berlin           # in which times are local; without it this machine's

disk_reserve: 5 GB                # stop before the disk has less left than this

metadata:                         # kept in every store
  genotype: w1118
# ask: [genotype, age_days]       # asked for when the recording is started
"""
