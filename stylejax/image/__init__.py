"""Pictures as arrays: colour, size, filters, geometry, panels, and files.

Every picture is float32 in [0, 1], RGB, channels last, unless a name says otherwise.
Import the module that does the job, for example `from stylejax.image import resize`;
nothing is imported here, so that code which only needs arrays never loads Pillow.
"""
