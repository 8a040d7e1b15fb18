"""What the Flex Template launcher runs; all else is in the package, where workers find it too."""

from pipelines.flex import main

if __name__ == "__main__":
    main()
