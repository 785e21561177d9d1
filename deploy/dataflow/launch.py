"""What the Flex Template's launcher runs: the captioning job, with its flags."""

from pipeline import caption
from transforms.commandline import run

if __name__ == "__main__":
    run(caption.main)
