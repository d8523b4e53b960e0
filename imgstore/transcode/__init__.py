"""Stores, videos and tables made of stores, videos and pictures.

`convert`, `cut` and `importing` make stores, `movie` a plain video, `listing` text files. Stores grow in a
`staging` folder, in `pieces` that `workers` make; `carry` and `substreams` bring along what lies beside the
frames, `packets` copies video as it lies.
"""
